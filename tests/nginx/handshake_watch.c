/* Preloaded into nginx. While a worker is in SSL_do_handshake it counts what code of ours
 * asks of the allocator, of pthread's locks and of getpid: libticket and the module, and libstdc++ and
 * libsodium, which nobody else in nginx uses. Each handshake stands between two calls of
 * getppid, so that strace shows which system calls are its own. All workers count in the
 * file $TICKET_WATCH. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct {
    _Atomic uint64_t handshakes, allocations, locks, getpids, of_others;
} counts;

static counts nowhere, *count = &nowhere;
static int in_handshake;
static struct {
    uintptr_t from, to;
} ours[16];
static int known;

static int find_ours(struct dl_phdr_info* object, size_t size, void* data) {
    static const char* const names[] = {"libticket", "ticket_module", "libstdc++", "libsodium"};
    (void) size;
    (void) data;
    for (size_t n = 0; n < sizeof names / sizeof *names; ++n) {
        if (strstr(object->dlpi_name, names[n]) == NULL) continue;
        for (int i = 0; i < object->dlpi_phnum; ++i) {
            const ElfW(Phdr)* header = &object->dlpi_phdr[i];
            if (header->p_type != PT_LOAD || (header->p_flags & PF_X) == 0 || known == 16) continue;
            ours[known].from = object->dlpi_addr + header->p_vaddr;
            ours[known++].to = object->dlpi_addr + header->p_vaddr + header->p_memsz;
        }
    }
    return 0;
}

static void note(_Atomic uint64_t* what, const void* caller) {
    if (!in_handshake) return;
    const uintptr_t address = (uintptr_t) caller;
    for (int i = 0; i < known; ++i) {
        if (ours[i].from <= address && address < ours[i].to) {
            ++*what;
            return;
        }
    }
    ++count->of_others;
}

__attribute__((constructor)) static void begin(void) {
    const char* path = getenv("TICKET_WATCH");
    const int file = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, sizeof(counts)) != 0) abort();
    count = mmap(NULL, sizeof(counts), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (count == MAP_FAILED) abort();
    close(file);
}

#define REAL(type, name, ...)                                    \
    static type (*real)(__VA_ARGS__);                            \
    if (real == NULL) *(void**) &real = dlsym(RTLD_NEXT, name)

void* dlopen(const char* path, int flags) {
    REAL(void*, "dlopen", const char*, int);
    void* opened = real(path, flags);
    known = 0;
    dl_iterate_phdr(find_ours, NULL);
    return opened;
}

int SSL_do_handshake(void* ssl) {
    REAL(int, "SSL_do_handshake", void*);
    ++count->handshakes;
    getppid();
    in_handshake = 1;
    const int done = real(ssl);
    in_handshake = 0;
    getppid();
    return done;
}

void* __libc_malloc(size_t size);
void* __libc_calloc(size_t members, size_t size);
void* __libc_realloc(void* old, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

void* malloc(size_t size) {
    note(&count->allocations, __builtin_return_address(0));
    return __libc_malloc(size);
}
void* calloc(size_t members, size_t size) {
    note(&count->allocations, __builtin_return_address(0));
    return __libc_calloc(members, size);
}
void* realloc(void* old, size_t size) {
    note(&count->allocations, __builtin_return_address(0));
    return __libc_realloc(old, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
    note(&count->allocations, __builtin_return_address(0));
    return __libc_memalign(alignment, size);
}
int posix_memalign(void** out, size_t alignment, size_t size) {
    note(&count->allocations, __builtin_return_address(0));
    *out = __libc_memalign(alignment, size);
    return *out == NULL ? ENOMEM : 0;
}

/* OpenSSL's random numbers ask it whether this is another process by now. */
pid_t getpid(void) {
    note(&count->getpids, __builtin_return_address(0));
    return (pid_t) syscall(SYS_getpid);
}

#define STAND_IN(name, type)                                \
    int name(type* lock) {                                  \
        REAL(int, #name, type*);                            \
        note(&count->locks, __builtin_return_address(0));   \
        return real(lock);                                  \
    }
STAND_IN(pthread_mutex_lock, pthread_mutex_t)
STAND_IN(pthread_mutex_trylock, pthread_mutex_t)
STAND_IN(pthread_rwlock_rdlock, pthread_rwlock_t)
STAND_IN(pthread_rwlock_tryrdlock, pthread_rwlock_t)
STAND_IN(pthread_rwlock_wrlock, pthread_rwlock_t)
STAND_IN(pthread_rwlock_trywrlock, pthread_rwlock_t)
