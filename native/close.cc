// The end of a pool. On a thread of its own, since the lane may hang; it is there from the
// beginning, since the system may have none left at the end.

#include <chrono>
#include <thread>
#include <utility>

#include "pool.h"

namespace keyplane {
namespace {

// After the drain, calls that run get this long to end.
constexpr auto kGrace = std::chrono::milliseconds(500);

}  // namespace

void Pool::Close(std::uint32_t task, std::uint32_t drain_ms) {
  Lock lock(mutex_);
  if (state_ == State::kNew) EndUnopened();
  if (state_ == State::kClosed) {
    Fulfil(task, nullptr);
    return;
  }
  closing_.push_back(task);
  if (state_ == State::kClosing) return;
  state_ = State::kClosing;
  drain_ms_ = drain_ms;
  closer_wake_.notify_one();
}

void Pool::Abandon() {
  mailbox_->Close();
  pins_.Close();
  Lock lock(mutex_);
  if (state_ == State::kNew) EndUnopened();
  if (state_ >= State::kClosing) return;
  state_ = State::kClosing;
  closer_wake_.notify_one();
}

// mutex_ is held, here and in StartCloser. There may be threads all the same, if one of those that
// opening takes could not be had.
void Pool::EndUnopened() {
  state_ = State::kClosed;
  stop_ = true;
  monitor_wake_.notify_one();
  closer_wake_.notify_one();
}

bool Pool::StartCloser() {
  if (!closer_runs_) closer_runs_ = StartThread([this] { RunCloser(); });
  return closer_runs_;
}

void Pool::RunCloser() {
  std::uint32_t drain_ms = 0;
  {
    Lock lock(mutex_);
    closer_wake_.wait(lock, [this] { return state_ >= State::kClosing; });
    if (state_ == State::kClosed) return;
    drain_ms = drain_ms_;
  }
  CloseNow(drain_ms);
}

// mutex_ is held. Takes their jobs from all threads that are in calls. One may be just about to
// begin its job, which cannot be taken before that.
void Pool::AbandonAll(Lock& lock) {
  const auto quiet = [this] { return num_busy_ == 0; };
  while (!quiet()) {
    std::vector<Finished> finished;
    for (const auto& worker : workers_) Abandon(*worker, finished);
    mailbox_->Post(std::move(finished));
    quiet_.wait_for(lock, std::chrono::milliseconds(1), quiet);
  }
}

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
  serves_ = false;
  AbandonAll(lock);
  FailQueued(Reason::kClosed, CKR_OK, Function::kNone);
  stop_ = true;
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
  // The monitor has ended: nobody else looks after what threads that hang had done before.
  std::vector<Finished> finished;
  for (const auto& worker : workers_) TakeFinished(*worker, finished);
  mailbox_->Post(std::move(finished));
  if (lane != nullptr && !clean) {
    const Failure closed{"The pool is closed", {}, {}, "closed"};
    if (lane->task) Reject(*lane->task, closed);
    lane->task.reset();
    for (const Task& task : lane->tasks) Reject(task.id, closed);
    lane->tasks.clear();
    lane->abandoned = true;
  }
  const bool close_anchor = clean && std::exchange(anchor_open_, false) && use_ != nullptr &&
                            use_->module().generation() == generation_;
  std::optional<Failure> failure;
  ModuleUse* const use = use_.get();
  closer_leaves_ = true;
  monitor_wake_.notify_one();
  lock.unlock();
  if (use != nullptr) {
    ThreadMark mark;
    const InModule inside(mark);
    if (close_anchor) use->module().functions()->C_CloseSession(anchor_);
    if (!clean) {
      use->Keep();
    } else {
      try {
        use->Finish();
      } catch (const ModuleError& error) {
        failure = ToFailure(error);
      }
    }
  }
  lock.lock();
  state_ = State::kClosed;
  monitor_wake_.notify_one();
  for (const std::uint32_t task : std::exchange(closing_, {})) {
    if (failure) {
      Reject(task, *failure);
    } else {
      Fulfil(task, nullptr);
    }
  }
}

}  // namespace keyplane
