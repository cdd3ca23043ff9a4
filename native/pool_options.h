// How a pool is made: which module and token, and how much of them it may use.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "governor.h"
#include "module.h"
#include "record.h"

namespace keyplane {

struct TokenSelector {
  std::optional<std::string> label;
  std::optional<std::string> serial;
  std::optional<std::string> manufacturer;
  std::optional<std::string> model;
  std::optional<CK_SLOT_ID> slot_id;

  bool Matches(const TokenInfo& token) const;
};

struct PoolOptions {
  std::string library;
  ModuleOptions module;
  TokenSelector token;
  std::uint32_t min_sessions = 1;
  std::uint32_t max_sessions = 64;
  std::uint32_t queue_records = 16'384;
  std::uint64_t queue_bytes = 64 << 20;
  std::uint32_t max_zombies = 8;
  std::uint32_t max_chunk = 256;
  // How long the token may take to come up, a recovery and a task of the lane to end.
  std::uint32_t discover_ms = 2'000;
  std::uint32_t recovery_ms = 10'000;
  std::uint32_t task_ms = 120'000;
  // Where the clock begins.
  std::uint32_t clock_start_ms = 0;
  std::optional<Limits> limits[kNumClasses];
};

}  // namespace keyplane
