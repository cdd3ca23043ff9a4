#include "key.h"

#include <cstring>

namespace keyplane {

bool IvHistory::Add(const std::uint8_t* iv, std::size_t len) {
  // FNV-1a: public values, and a token that is out to deceive could lie in easier ways. A false
  // alarm has a probability of 2^-64 a pair.
  std::uint64_t hash = 0xcbf29ce484222325;
  for (std::size_t i = 0; i < len; ++i) hash = (hash ^ iv[i]) * 0x100000001b3;
  hash |= 1;
  std::lock_guard lock(mutex_);
  if (hashes_.empty()) hashes_.resize(kSlots);
  // Direct-mapped: an IV is forgotten when another one takes its place.
  std::uint64_t& slot = hashes_[(hash >> 1) % kSlots];
  if (slot == hash) return false;
  slot = hash;
  return true;
}

}  // namespace keyplane
