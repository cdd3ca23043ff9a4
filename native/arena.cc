#include "arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

#include "secret_bytes.h"

namespace keyplane {

Arena::Arena(std::uint32_t id, std::uint32_t num_records, std::uint32_t data_len)
    : in_flight(num_records), id_(id), num_records_(num_records) {
  len_ = std::size_t{num_records} * kRecordLen + data_len;
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  mapped_len_ = (len_ + page - 1) / page * page;
  void* mapped =
      mmap(nullptr, mapped_len_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  bytes_ = static_cast<std::uint8_t*>(mapped);
#if defined(MADV_DONTDUMP)
  madvise(mapped, mapped_len_, MADV_DONTDUMP);
#endif
}

Arena::~Arena() {
  Wipe(bytes_, len_);
  munmap(bytes_, mapped_len_);
}

}  // namespace keyplane
