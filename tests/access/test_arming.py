from facegate.access.arming import Arming


def test_before_there_is_an_admin_the_button_enrols(clock):
    assert Arming(30.0, clock).press(has_admin=False)


def test_later_only_after_an_admin_was_recognised(clock):
    arming = Arming(30.0, clock)
    assert not arming.press(has_admin=True)
    arming.admin_recognised()
    assert arming.armed
    assert arming.press(has_admin=True)


def test_an_arming_is_good_for_one_press(clock):
    arming = Arming(30.0, clock)
    arming.admin_recognised()
    assert arming.press(has_admin=True)
    assert not arming.press(has_admin=True)


def test_an_arming_ends(clock):
    arming = Arming(30.0, clock)
    arming.admin_recognised()
    clock.now_s = 29.9
    assert arming.armed
    clock.now_s = 30.0
    assert not arming.armed
    assert not arming.press(has_admin=True)
