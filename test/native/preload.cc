// Preloaded into a process of the tests, where it does what a system does at its limits: refuses
// threads, and lets another thread go first in the middle of things.
//
// It reads a page of memory that the test writes: the file that PRELOAD_PAGE names.
// test/support/preloaded.ts holds the same layout.

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace {

struct Page {
  std::atomic<std::uint32_t> refuses_threads;
  // The next piece of memory of that length that a thread asks for, other than the first one of the
  // process, comes late; 0: none.
  std::atomic<std::uint32_t> late_len;
  std::uint32_t late_us;
};

Page* page;

[[gnu::constructor]] void Map() {
  const char* path = std::getenv("PRELOAD_PAGE");
  const int file = path == nullptr ? -1 : open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return;
  void* mapped = mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (mapped != MAP_FAILED) page = static_cast<Page*>(mapped);
}

}  // namespace

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*body)(void*), void* argument) {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto create = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  if (page != nullptr && page->refuses_threads != 0) return EAGAIN;
  return create(thread, attributes, body, argument);
}

void* operator new(std::size_t len) {
  if (page != nullptr && page->late_len == len && gettid() != getpid()) {
    auto expected = static_cast<std::uint32_t>(len);
    if (page->late_len.compare_exchange_strong(expected, 0)) {
      const timespec time{0, static_cast<long>(page->late_us) * 1000};
      nanosleep(&time, nullptr);
    }
  }
  void* memory = std::malloc(len == 0 ? 1 : len);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
