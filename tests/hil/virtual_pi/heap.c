/* Memory files in place of the dma-bufs that a kernel without /dev/dma_heap cannot give. Loaded
 * with LD_PRELOAD into the Python that runs the virtual camera; nothing else uses it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int allocate(struct dma_heap_allocation_data *wanted)
{
    int memory = memfd_create("dma-buf", MFD_CLOEXEC);
    if (memory < 0 || ftruncate(memory, wanted->len) < 0)
        return -1;
    wanted->fd = memory;
    return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
    static int (*real)(int, unsigned long, ...);
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);

    switch (request) {
    case DMA_HEAP_IOCTL_ALLOC:
        return allocate(argument);
    case DMA_BUF_IOCTL_SYNC:
    case DMA_BUF_SET_NAME_A:
    case DMA_BUF_SET_NAME_B:
        return 0;
    }
    if (!real)
        real = dlsym(RTLD_NEXT, "ioctl");
    return real(fd, request, argument);
}
