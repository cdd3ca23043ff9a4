// The 64-byte records through which JavaScript hands work to a pool, and the numbers in them.
// src/engines/hsm/record.ts holds the same table. Integers are little-endian; offsets count bytes
// from the start of the arena.

#pragma once

#include <cstddef>
#include <cstdint>

namespace keyplane {

constexpr std::size_t kRecordLen = 64;

// Written by JavaScript up to `deadline`, by the addon from `ckr` on. In a record that is
// submitted, `ckr` is the login epoch in which the key was looked at; in another one it is not used
// (kStale). 0: it may be.
struct Record {
  std::uint8_t op;
  std::uint8_t flags;
  std::uint8_t hash;
  std::uint8_t mgf_hash;
  std::uint32_t mechanism;
  std::uint32_t key_ref;
  std::uint8_t tag_len;
  std::uint8_t iv_mode;
  std::uint16_t salt_len;
  std::uint32_t iv_offset;
  std::uint32_t iv_len;
  std::uint32_t aux_offset;
  std::uint32_t aux_len;
  std::uint32_t input_offset;
  std::uint32_t input_len;
  std::uint32_t output_offset;
  std::uint32_t output_capacity;
  std::uint32_t deadline;
  std::uint32_t ckr;
  std::uint32_t output_len;
  std::uint8_t status;
  std::uint8_t reason;
  std::uint8_t function;
  std::uint8_t result;
};
static_assert(sizeof(Record) == kRecordLen && offsetof(Record, ckr) == 52 &&
              offsetof(Record, result) == 63);

enum Op : std::uint8_t { kEncrypt = 1, kDecrypt, kSign, kVerify, kRandom };

enum Flag : std::uint8_t { kMayRetry = 1, kFixedIv = 2, kWipeInput = 4 };

enum Hash : std::uint8_t { kNoHash, kSha1, kSha256, kSha384, kSha512, kSha224 };

enum IvMode : std::uint8_t { kHostIv, kTokenIv, kTokenPrefix, kMessage, kMessageHostIv };

enum class Status : std::uint8_t { kPending, kDone, kNotSent, kUnknown, kRejected };

enum class Reason : std::uint8_t {
  kNone,
  kDeadline,
  kCancelled,
  kClosed,
  kLost,
  kLocked,
  kKeyNotFound,
  kBadRecord,
  kBadKeyRef,
  kBadAnswer,
  kDuplicateIv,
  kSession,
  kStale,
};

enum Result : std::uint8_t { kFreshIv = 1, kRetried = 2 };

enum class Submitted : std::uint8_t {
  kAccepted,
  kBusyRecords,
  kBusyBytes,
  kClosed,
  kBadRange,
  kInFlight,
};

enum class Kind : std::uint8_t { kCompleted, kTimedOut, kReleased };

enum class Event : std::uint8_t {
  kPinNeeded = 1,
  kRecoveryStarted,
  kRecovered,
  kRecoveryFailed,
  kSessionReplaced,
  kSessionLimit,
  kZombie,
  kZombieReturned,
  kZombieLimit,
  kDuplicateIv,
  kKeyLost,
  kLimit,
};

enum class State : std::uint8_t {
  kNew,
  kOpening,
  kReady,
  kRecovering,
  kLost,
  kLocked,
  kClosing,
  kClosed,
};

// Classes of operations: a module wants another number of threads for each.
enum Class : std::uint8_t { kSym, kEc, kRsa, kOther };
constexpr std::size_t kNumClasses = 4;

}  // namespace keyplane
