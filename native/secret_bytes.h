// Bytes that are wiped before their memory is given back: PINs and temporaries that held plaintext.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

namespace keyplane {

// Zeroes memory in a way the compiler keeps.
inline void Wipe(void* bytes, std::size_t len) {
  if (len == 0) return;
#if defined(__GLIBC__) || defined(__FreeBSD__)
  explicit_bzero(bytes, len);
#else
  std::memset(bytes, 0, len);
  __asm__ __volatile__("" : : "r"(bytes) : "memory");
#endif
}

// Never grows after it is made, so no copy stays behind in memory that was given back.
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(std::size_t len) : bytes_(len) {}
  SecretBytes(const std::uint8_t* bytes, std::size_t len) : bytes_(bytes, bytes + len) {}
  SecretBytes(SecretBytes&& other) noexcept : bytes_(std::move(other.bytes_)) {}
  SecretBytes& operator=(SecretBytes&& other) noexcept {
    if (this != &other) {
      Wipe(bytes_.data(), bytes_.size());
      bytes_ = std::move(other.bytes_);
    }
    return *this;
  }
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes() { Wipe(bytes_.data(), bytes_.size()); }

  std::uint8_t* data() { return bytes_.data(); }
  const std::uint8_t* data() const { return bytes_.data(); }
  std::size_t size() const { return bytes_.size(); }

 private:
  std::vector<std::uint8_t> bytes_;
};

}  // namespace keyplane
