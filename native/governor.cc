#include "governor.h"

#include <algorithm>
#include <cmath>
#include <thread>

namespace keyplane {
namespace {

// Calls that use a core for less of their time wait for something else.
constexpr double kWaitsBelow = 0.4;
// Those that last longer as well begin with many threads.
constexpr double kDistantUs = 200;
constexpr std::uint32_t kDistantStart = 16;
// So small a part of a thread, in what would keep all cores busy, is an error of measurement.
constexpr double kNoThread = 0.05;
constexpr std::uint64_t kWindowMs = 30;
// A window in which two operations follow each other, but no longer than this for it.
constexpr double kWindowServices = 2;
constexpr double kLongestWindowMs = 2'000;
constexpr std::uint64_t kMinDone = 6;
constexpr std::uint64_t kMinDoneOfEach = 2;
constexpr int kPairs = 3;
// Twice the threads are worth it from here on, and stay so down to there. Noise on a busy machine
// is less than what lies between.
constexpr double kWorthIt = 1.2;
constexpr double kStillWorthIt = 1.1;
constexpr std::uint64_t kFirstHoldMs = 4'000;
constexpr std::uint64_t kLongestHoldMs = 60'000;
// So much slower or faster, so many windows in a row, is another device.
constexpr double kChanged = 2;
constexpr int kChangedWindows = 3;
// What comes and goes must not end every hold at once.
constexpr std::uint64_t kShortestPart = 8;

}  // namespace

Governor::Governor(std::uint32_t cores)
    : cores_(cores != 0 ? cores : std::max(1U, std::thread::hardware_concurrency())) {}

void Governor::SetLimits(Limits limits) {
  limits_ = limits;
  limit_ = std::clamp(limit_, limits.min, limits.max);
  phase_ = Phase::kStart;
  window_start_ = 0;
  hold_ms_ = 0;
}

bool Governor::waits() const { return cpu_known_ && cpu_share_ < kWaitsBelow; }

bool Governor::is_distant() const { return waits() && service_us_ > kDistantUs; }

std::uint32_t Governor::ceiling() const {
  if (waits()) return limits_.max;
  const double busy = cpu_known_ ? cores_ / cpu_share_ : cores_;
  return std::clamp(static_cast<std::uint32_t>(std::ceil(busy - kNoThread)), limits_.min,
                    limits_.max);
}

void Governor::Add(std::uint32_t num, std::uint64_t wall_ns, std::uint64_t cpu_ns) {
  if (num == 0) return;
  done_ += num;
  wall_us_ += static_cast<double>(wall_ns) / 1e3;
  const double us = static_cast<double>(wall_ns) / 1e3 / num;
  service_us_ = service_us_ == 0 ? us : service_us_ + (us - service_us_) / 8;
  if (cpu_ns != 0 && wall_ns != 0) {
    const double share = std::min(1.0, static_cast<double>(cpu_ns) / static_cast<double>(wall_ns));
    cpu_share_ = cpu_known_ ? cpu_share_ + (share - cpu_share_) / 8 : share;
    cpu_known_ = true;
  }
}

void Governor::Settle(std::uint64_t now_ms) {
  window_start_ =
      now_ms + static_cast<std::uint64_t>(std::min(service_us_ / 1e3, kLongestWindowMs));
  done_ = 0;
  wall_us_ = 0;
}

bool Governor::Tick(std::uint64_t now_ms, bool saturated) {
  if (limits_.min == limits_.max) return false;
  const std::uint32_t before = limit_;
  // Nothing to learn from one thread.
  if (phase_ == Phase::kStart && is_distant() && limit_ < limits_.max) {
    limit_ = std::min(limits_.max, std::max(limit_, kDistantStart));
    Seek(now_ms, Way::kUp);
    return limit_ != before;
  }
  if (window_start_ == 0 || !saturated || now_ms < window_start_) {
    window_start_ = std::max(window_start_, now_ms);
    done_ = 0;
    wall_us_ = 0;
    return false;
  }
  const std::uint64_t elapsed = now_ms - window_start_;
  const double services_ms = std::min(kWindowServices * service_us_ / 1e3, kLongestWindowMs);
  const std::uint64_t least = std::max(kMinDone, kMinDoneOfEach * limit_);
  if (elapsed < kWindowMs || static_cast<double>(elapsed) < services_ms || done_ < least) {
    return false;
  }
  const Window window{static_cast<double>(done_), static_cast<double>(elapsed), wall_us_};
  window_start_ = now_ms;
  done_ = 0;
  wall_us_ = 0;
  Judge(now_ms, window);
  return limit_ != before;
}

void Governor::Judge(std::uint64_t now_ms, const Window& window) {
  switch (phase_) {
    case Phase::kStart:
      Seek(now_ms, Way::kUp);
      break;
    case Phase::kCompare:
      (limit_ == low_ ? of_low_ : of_high_) += window;
      if (++windows_ == 2 * kPairs) {
        Compared(now_ms);
      } else {
        limit_ = limit_ == low_ ? high_ : low_;
        Settle(now_ms);
      }
      break;
    case Phase::kHold:
      WatchHold(now_ms, window.wall_us / window.done);
      break;
  }
}

void Governor::Seek(std::uint64_t now_ms, Way way) {
  way_ = way;
  moved_ = false;
  turned_ = false;
  Step(now_ms);
}

void Governor::Step(std::uint64_t now_ms) {
  for (;;) {
    if (way_ == Way::kUp && limit_ < ceiling()) {
      return Compare(now_ms, limit_, std::min(ceiling(), limit_ * 2));
    }
    if (way_ == Way::kDown && limit_ > ceiling()) {
      // Work that needs a core has nothing of more threads than keep all cores busy. But how much
      // it needs is measured under what else the machine does, so the rates decide.
      return Compare(now_ms, ceiling(), limit_);
    }
    if (way_ == Way::kDown && limit_ > limits_.min) {
      // One thread for each core is a step of its own.
      const std::uint32_t half = limit_ > cores_ ? std::max(cores_, limit_ / 2) : limit_ / 2;
      return Compare(now_ms, std::max(limits_.min, half), limit_);
    }
    if (moved_ || turned_) return Hold(now_ms);
    turned_ = true;
    way_ = way_ == Way::kUp ? Way::kDown : Way::kUp;
  }
}

void Governor::Compare(std::uint64_t now_ms, std::uint32_t low, std::uint32_t high) {
  phase_ = Phase::kCompare;
  low_ = low;
  high_ = high;
  of_low_ = {};
  of_high_ = {};
  windows_ = 0;
  // The limit that is there needs no time to settle.
  Settle(now_ms);
}

void Governor::Compared(std::uint64_t now_ms) {
  const bool up = way_ == Way::kUp;
  const bool takes_high = of_high_.rate() > of_low_.rate() * (up ? kWorthIt : kStillWorthIt);
  limit_ = takes_high ? high_ : low_;
  if (takes_high == up) {
    moved_ = true;
    hold_ms_ = 0;
  } else if (moved_ || turned_) {
    return Hold(now_ms);
  } else {
    turned_ = true;
    way_ = up ? Way::kDown : Way::kUp;
  }
  Step(now_ms);
}

void Governor::Hold(std::uint64_t now_ms) {
  phase_ = Phase::kHold;
  hold_start_ = now_ms;
  hold_ms_ = hold_ms_ == 0 ? kFirstHoldMs : std::min(hold_ms_ * 2, kLongestHoldMs);
  held_us_ = 0;
  num_changed_ = 0;
  Settle(now_ms);
}

void Governor::WatchHold(std::uint64_t now_ms, double us) {
  if (held_us_ == 0) held_us_ = us;
  const bool faster = us * kChanged < held_us_;
  const bool slower = us > held_us_ * kChanged;
  num_changed_ = faster || slower ? num_changed_ + 1 : 0;
  const std::uint64_t held_ms = now_ms - hold_start_;
  if (held_ms >= hold_ms_) {
    Seek(now_ms, Way::kUp);
  } else if (num_changed_ >= kChangedWindows && held_ms >= hold_ms_ / kShortestPart) {
    Seek(now_ms, faster ? Way::kDown : Way::kUp);
  }
}

}  // namespace keyplane
