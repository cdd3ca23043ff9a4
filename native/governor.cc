#include "governor.h"

#include <algorithm>
#include <thread>

namespace keyplane {
namespace {

constexpr double kRemoteUs = 200;
constexpr std::uint32_t kRemoteStart = 16;
constexpr std::uint64_t kWindowMs = 30;
constexpr std::uint64_t kMinDone = 6;
constexpr int kPairs = 4;
// A thread more is worth it from here on; noise on a busy machine is less.
constexpr double kWorthIt = 1.2;
constexpr double kGrowth = 1.15;
constexpr std::uint64_t kFirstHoldMs = 4'000;
constexpr std::uint64_t kLongestHoldMs = 60'000;

}  // namespace

void Governor::SetLimits(Limits limits) {
  limits_ = limits;
  limit_ = std::clamp(limit_, limits.min, limits.max);
  phase_ = Phase::kObserve;
  hold_ms_ = 0;
}

bool Governor::waits() const { return cpu_known_ && cpu_share_ < 0.4; }

std::uint32_t Governor::ceiling() const {
  if (waits()) return limits_.max;
  const std::uint32_t cores = std::max(1U, std::thread::hardware_concurrency());
  return std::clamp(cores, limits_.min, limits_.max);
}

void Governor::Add(std::uint32_t num, std::uint64_t wall_ns, std::uint64_t cpu_ns) {
  done_ += num;
  const double us = static_cast<double>(wall_ns) / 1e3 / num;
  service_us_ = service_us_ == 0 ? us : service_us_ + (us - service_us_) / 8;
  if (cpu_ns != 0 && wall_ns != 0) {
    const double share = std::min(1.0, static_cast<double>(cpu_ns) / static_cast<double>(wall_ns));
    cpu_share_ = cpu_known_ ? cpu_share_ + (share - cpu_share_) / 8 : share;
    cpu_known_ = true;
  }
}

bool Governor::Tick(std::uint64_t now_ms, bool saturated) {
  if (limits_.min == limits_.max) return false;
  const std::uint32_t before = limit_;
  // A device that answers slowly without using a core: nothing to learn from one thread.
  if (phase_ == Phase::kObserve && waits() && service_us_ > kRemoteUs && limit_ < limits_.max) {
    limit_ = std::min(limits_.max, std::max(limit_, kRemoteStart));
    phase_ = Phase::kGrow;
    last_rate_ = 0;
    window_start_ = 0;
    return limit_ != before;
  }
  if (window_start_ == 0 || !saturated) {
    window_start_ = now_ms;
    done_ = 0;
    saturated_ = saturated;
    return false;
  }
  const std::uint64_t elapsed = now_ms - window_start_;
  if (elapsed < kWindowMs || done_ < kMinDone) return false;
  const double rate = static_cast<double>(done_) / static_cast<double>(elapsed);
  window_start_ = now_ms;
  done_ = 0;
  Judge(now_ms, rate);
  return limit_ != before;
}

void Governor::Judge(std::uint64_t now_ms, double rate) {
  switch (phase_) {
    case Phase::kObserve:
      if (limit_ < ceiling()) {
        Compare(limit_, limit_ + 1);
      } else {
        Hold(now_ms);
      }
      break;
    case Phase::kGrow:
      if (rate > last_rate_ * kGrowth && limit_ < limits_.max) {
        last_rate_ = rate;
        limit_ = std::min(limits_.max, limit_ * 2);
      } else {
        Hold(now_ms);
      }
      break;
    case Phase::kCompare:
      // The first window of a comparison still has work of the old limit in it.
      if (windows_ > 0) (limit_ == low_ ? low_rate_ : high_rate_) += rate;
      if (++windows_ <= 2 * kPairs) {
        limit_ = limit_ == low_ ? high_ : low_;
        break;
      }
      if (high_rate_ > low_rate_ * kWorthIt) {
        limit_ = high_;
        hold_ms_ = 0;
        if (limit_ < ceiling()) {
          Compare(limit_, limit_ + 1);
          break;
        }
      } else {
        if (limit_ != low_) hold_ms_ = 0;
        limit_ = low_;
      }
      Hold(now_ms);
      break;
    case Phase::kHold:
      if (now_ms < hold_until_) break;
      if (waits() && service_us_ > kRemoteUs && limit_ < limits_.max) {
        phase_ = Phase::kGrow;
        last_rate_ = rate;
        limit_ = std::min(limits_.max, limit_ * 2);
        break;
      }
      look_down_ = !look_down_;
      if (look_down_ && limit_ > limits_.min) {
        Compare(limit_ - 1, limit_);
      } else if (limit_ < ceiling()) {
        Compare(limit_, limit_ + 1);
      } else {
        Hold(now_ms);
      }
      break;
  }
}

void Governor::Compare(std::uint32_t low, std::uint32_t high) {
  phase_ = Phase::kCompare;
  low_ = low;
  high_ = high;
  low_rate_ = 0;
  high_rate_ = 0;
  windows_ = 0;
  limit_ = low;
}

void Governor::Hold(std::uint64_t now_ms) {
  phase_ = Phase::kHold;
  hold_ms_ = hold_ms_ == 0 ? kFirstHoldMs : std::min(hold_ms_ * 2, kLongestHoldMs);
  hold_until_ = now_ms + hold_ms_;
}

}  // namespace keyplane
