// Memory that JavaScript and pool threads share: record slots first, data behind them. It belongs
// to whoever holds a share, so a call that hangs in a module never writes into memory of someone
// else, whatever becomes of the ArrayBuffer or of its environment.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "record.h"

namespace keyplane {

class Arena {
 public:
  // Maps zeroed pages that stay out of core dumps. Throws std::bad_alloc.
  Arena(std::uint32_t id, std::uint32_t num_records, std::uint32_t data_len);
  // Wipes.
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  std::uint32_t id() const { return id_; }
  std::uint32_t num_records() const { return num_records_; }
  std::uint8_t* bytes() { return bytes_; }
  std::size_t len() const { return len_; }
  Record* record(std::uint32_t index) { return reinterpret_cast<Record*>(bytes_) + index; }

  // Tells whether a range lies in the data part.
  bool Holds(std::uint32_t offset, std::uint32_t range_len) const {
    return range_len == 0 ||
           (offset >= num_records_ * kRecordLen && offset <= len_ && range_len <= len_ - offset);
  }

  // Bytes of each record that count against the pool's bound while it is in flight, plus one; 0
  // when the slot is free. Used on the JavaScript thread alone.
  std::vector<std::uint64_t> in_flight;
  std::uint32_t num_in_flight = 0;

 private:
  std::uint32_t id_;
  std::uint32_t num_records_;
  std::size_t len_;
  std::size_t mapped_len_;
  std::uint8_t* bytes_;
};

}  // namespace keyplane
