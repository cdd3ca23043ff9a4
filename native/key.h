// A key as JavaScript refers to it: by what it is (CKA_ID, label, class), never by a handle.
// Handles are numbers that a module may give to another key after a re-login, so each is valid in
// one login epoch alone.

#pragma once

#include <pkcs11/pkcs11.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace keyplane {

struct KeyQuery {
  std::optional<std::vector<std::uint8_t>> id;
  std::optional<std::vector<std::uint8_t>> label;
  CK_OBJECT_CLASS object_class = 0;
  std::optional<CK_KEY_TYPE> key_type;
  bool session_copy = false;
};

// Remembers the last IVs a token made for a key. A token that repeats one breaks AES-GCM.
class IvHistory {
 public:
  // Returns false if the IV came before.
  bool Add(const std::uint8_t* iv, std::size_t len);

 private:
  static constexpr std::size_t kSlots = 8192;

  std::mutex mutex_;
  std::vector<std::uint64_t> hashes_;
};

// What a token did with a key of one class and CKA_ID. The pool keeps it beyond the handles, since
// a second handle stands for the same key.
struct KeyUse {
  IvHistory ivs;
  std::atomic<bool> refused = false;
};

struct Key {
  std::uint32_t ref = 0;
  KeyQuery query;
  // Set when the key is first found.
  std::vector<std::uint8_t> found_id;
  CK_KEY_TYPE type = 0;
  // Bytes of an RSA modulus; 0 for other keys.
  std::uint32_t modulus_len = 0;
  bool always_authenticate = false;
  // Of `epoch`. A session copy has a handle of its own, which is the one to use.
  std::atomic<CK_OBJECT_HANDLE> handle = 0;
  std::atomic<std::uint32_t> epoch = 0;
  std::atomic<bool> copied = false;
  std::atomic<bool> lost = false;
  // When its handle was last called invalid, and in which epoch; 0: never.
  std::atomic<std::uint32_t> doubted_ms = 0;
  std::atomic<std::uint32_t> doubted_epoch = 0;
  // Set before the key has a ref.
  std::shared_ptr<KeyUse> use;
};

}  // namespace keyplane
