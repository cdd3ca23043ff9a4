// The end of a pool. On a thread of its own, since the lane may hang.

#include <chrono>
#include <thread>
#include <utility>

#include "pool.h"

namespace keyplane {
namespace {

// After the drain, calls that run get this long to end.
constexpr auto kGrace = std::chrono::milliseconds(500);

}  // namespace

void Pool::CloseNow(std::uint32_t drain_ms) {
  Lock lock(mutex_);
  const auto queued = [&] {
    std::uint32_t all = 0;
    for (const std::uint32_t each : queued_) all += each;
    return all;
  };
  const auto lane_rests = [&] {
    return lane_ == nullptr || (lane_->since_ms == 0 && lane_->tasks.empty());
  };
  quiet_.wait_for(lock, std::chrono::milliseconds(drain_ms),
                  [&] { return num_busy_ == 0 && (queued() == 0 || !serves_) && lane_rests(); });
  stop_now_ = true;
  FailQueued(Reason::kClosed, CKR_OK, Function::kNone);
  quiet_.wait_for(lock, kGrace, [&] { return num_busy_ == 0; });
  // What was claimed and not begun came back meanwhile.
  FailQueued(Reason::kClosed, CKR_OK, Function::kNone);
  std::vector<Finished> finished;
  for (const auto& worker : workers_) Abandon(*worker, finished);
  FailQueued(Reason::kClosed, CKR_OK, Function::kNone);
  mailbox_->Post(std::move(finished));
  stop_ = true;
  serves_ = false;
  pins_.Close();
  for (const auto& worker : workers_) worker->wake.notify_one();
  monitor_wake_.notify_one();
  const std::shared_ptr<Lane> lane = lane_;
  if (lane != nullptr) {
    lane->stop = true;
    lane->wake.notify_one();
  }
  for (const Waiting& waiting : std::exchange(waiting_, {})) {
    Reject(waiting.task, {"The pool is closed", {}, {}, "closed"});
  }
  const auto gone = [&] { return workers_.empty() && num_lanes_ == 0; };
  quiet_.wait_for(lock, kGrace, gone);
  const bool clean = gone();
  if (lane != nullptr && !clean && lane->task) {
    Reject(*lane->task, {"The pool is closed", {}, {}, "closed"});
    lane->task.reset();
    lane->abandoned = true;
  }
  const bool close_anchor = clean && std::exchange(anchor_open_, false) && use_ != nullptr &&
                            use_->module().generation() == generation_;
  std::optional<Failure> failure;
  lock.unlock();
  if (use_ != nullptr) {
    ThreadMark mark;
    const InModule inside(mark);
    if (close_anchor) use_->module().functions()->C_CloseSession(anchor_);
    if (!clean) {
      use_->Keep();
    } else {
      try {
        use_->Finish();
      } catch (const ModuleError& error) {
        failure = ToFailure(error);
      }
    }
  }
  lock.lock();
  state_ = State::kClosed;
  for (const std::uint32_t task : std::exchange(closing_, {})) {
    if (failure) {
      Reject(task, *failure);
    } else {
      Fulfil(task, nullptr);
    }
  }
}

}  // namespace keyplane
