// The thread that sees to deadlines, to calls that hang, and to the governors.

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "clock.h"
#include "pool.h"

namespace keyplane {
namespace {

constexpr auto kTick = std::chrono::milliseconds(5);
constexpr int kQuietTicks = 40;
// A thread that is this long in one call gives back what else it has claimed.
constexpr std::uint32_t kStealMs = 20;
// A call about a session, open or close, hangs after that.
constexpr std::uint32_t kSessionMs = 2'000;
// What the closer does after its threads have ended.
constexpr auto kClosingMs = std::chrono::milliseconds(2'500);
// A call that takes so long, and so many times what others take, does not keep those from the
// module.
constexpr double kStuckMs = 100;
constexpr double kStuckTimes = 8;
// What a call usually takes, as long as none has come back.
constexpr double kFirstMs = 125;

}  // namespace

void Pool::WakeMonitor() {
  if (!monitor_runs_) {
    monitor_runs_ = StartThread([this] { RunMonitor(); });
  } else if (std::exchange(monitor_sleeps_, false)) {
    monitor_wake_.notify_one();
  }
}

void Pool::RunMonitor() {
  Lock lock(mutex_);
  int quiet = 0;
  while (!stop_) {
    monitor_wake_.wait_for(lock, kTick, [&] { return stop_; });
    if (ThreadMark::exiting()) break;
    const std::uint32_t now = now_ms();
    std::vector<Finished> finished;
    if (next_deadline_ != 0 && HasCome(next_deadline_, now)) ExpireQueued(now, finished);
    WatchWorkers(now, finished);
    mailbox_->Post(std::move(finished));
    // Whoever drains waits for the last record, whatever becomes of it.
    if (state_ == State::kClosing) quiet_.notify_all();
    // All hang, and the system may have had no thread for another one.
    if (serves_ && num_threads_ == num_zombies_) WakeWorkers().Notify();
    WatchLane(now);
    bool idle = num_busy_ == 0 && num_in_session_calls_ == 0 && num_zombies_ == 0;
    for (std::size_t c = 0; c < kNumClasses; ++c) {
      const bool saturated = serves_ && queued_[c] > 0;
      idle = idle && queued_[c] == 0;
      if (governors_[c].Tick(clock_ms(), saturated)) {
        mailbox_->Post(
            {Event::kLimit, static_cast<double>(c), static_cast<double>(governors_[c].limit())});
        if (serves_) WakeWorkers().Notify();
      }
    }
    // The lane hung when the recovery was asked for, or the system had no thread for another one.
    const bool lacks_lane = recovery_wanted_ && lane_ == nullptr && state_ < State::kClosing;
    if (lacks_lane) StartLane();
    const bool lane_idle = lane_ == nullptr ? !lacks_lane : lane_->since_ms == 0;
    quiet = idle && lane_idle ? quiet + 1 : 0;
    if (quiet >= kQuietTicks) {
      monitor_sleeps_ = true;
      monitor_wake_.wait(lock, [&] { return stop_ || !monitor_sleeps_; });
      quiet = 0;
    }
  }
  if (!ThreadMark::exiting()) WatchCloser(lock);
}

// The closer goes into the module last of all, and may hang there. Those who wait for the end hear
// of it.
void Pool::WatchCloser(Lock& lock) {
  const auto closed = [&] { return state_ == State::kClosed; };
  monitor_wake_.wait(lock, [&] { return closer_leaves_ || closed(); });
  if (monitor_wake_.wait_for(lock, kClosingMs, closed)) return;
  state_ = State::kClosed;
  for (const std::uint32_t task : std::exchange(closing_, {})) {
    Reject(task, {"The module did not end in time", {}, {}, "timeout"});
  }
}

// mutex_ is held, here and below.
void Pool::ExpireQueued(std::uint32_t now, std::vector<Finished>& finished) {
  next_deadline_ = 0;
  const Answer answer{.reason = Reason::kDeadline};
  for (std::size_t c = 0; c < kNumClasses; ++c) {
    for (Range& range : queues_[c]) {
      bool live = false;
      for (std::uint32_t i = range.begin; i < range.end; ++i) {
        Job& job = range.batch->jobs[i];
        if (job.state.load() != JobState::kQueued) continue;
        const std::uint32_t deadline = job.record.deadline;
        if (deadline != 0 && HasCome(deadline, now)) {
          if (job.Take(JobState::kQueued, JobState::kRunning)) {
            Finish(*range.batch, job, answer, Status::kNotSent, finished);
          }
          continue;
        }
        live = true;
        NoteDeadline(deadline);
      }
      if (!live) {
        queued_[c] -= range.size();
        range.begin = range.end;
      }
    }
    std::erase_if(queues_[c], [](const Range& range) { return range.begin == range.end; });
  }
}

void Pool::WatchWorkers(std::uint32_t now, std::vector<Finished>& finished) {
  for (const auto& each : workers_) {
    Worker& worker = *each;
    if (worker.zombie) {
      // It may have been at the door of the module when it was given up.
      TakeFinished(worker, finished);
      continue;
    }
    const std::uint32_t since = worker.since_ms;
    if (worker.in_session_call && HasCome(since + kSessionMs, now)) {
      MakeZombie(worker);
      continue;
    }
    if (!worker.busy) continue;
    const Job& job = worker.chunk.batch->jobs[worker.position.load()];
    const std::uint32_t deadline = job.record.deadline;
    if (deadline != 0 && HasCome(deadline, now) && Abandon(worker, finished, now)) continue;
    if (!HasCome(since + kStealMs, now)) continue;
    TakeFinished(worker, finished);
    Steal(worker);
    // Calls that take their turns wait for the one that hangs, whoever begins them.
    if (use_ != nullptr && use_->module().serial()) continue;
    const double service_us = governors_[worker.job_class].service_us();
    const double usual_ms = service_us == 0 ? kFirstMs : service_us / 1e3;
    if (!worker.stuck && now - since > std::max(kStuckMs, kStuckTimes * usual_ms)) {
      worker.stuck = true;
      ++stuck_[worker.job_class];
      if (serves_) WakeWorkers().Notify();
    }
  }
}

// What a thread has done before the call that it is in must not wait for the end of that.
void Pool::TakeFinished(Worker& worker, std::vector<Finished>& finished) {
  auto expected = Worker::Hand::kModule;
  if (!worker.hand.compare_exchange_strong(expected, Worker::Hand::kMonitor)) return;
  std::move(worker.finished.begin(), worker.finished.end(), std::back_inserter(finished));
  worker.finished.clear();
  worker.hand.store(Worker::Hand::kModule, std::memory_order_release);
}

// What a thread has claimed and not begun goes back. Should it begin one meanwhile, the state of
// the job decides who has it.
void Pool::Steal(Worker& worker) {
  const std::uint32_t next = worker.position.load() + 1;
  if (worker.stolen || next >= worker.chunk.end) return;
  worker.stolen = true;
  Requeue({worker.chunk.batch, next, worker.chunk.end});
  if (serves_) WakeWorkers().Notify();
}

void Pool::MakeZombie(Worker& worker) {
  worker.zombie = true;
  ++num_zombies_;
  if (worker.busy) {
    --active_[worker.job_class];
    if (std::exchange(worker.stuck, false)) --stuck_[worker.job_class];
    if (--num_busy_ == 0) quiet_.notify_all();
  }
  if (worker.in_session_call && --num_in_session_calls_ == 0) quiet_.notify_all();
  mailbox_->Post({Event::kZombie, static_cast<double>(num_zombies_), 0});
  if (num_zombies_ >= ThreadCap()) {
    mailbox_->Post({Event::kZombieLimit, static_cast<double>(num_zombies_), 0});
  }
  if (serves_) WakeWorkers().Notify();
}

// A lane that hangs is left alone, and what it was at fails.
void Pool::WatchLane(std::uint32_t now) {
  if (lane_ == nullptr) return;
  // Read once: the lane sets it without the lock, 0 while it waits for a PIN and later than `now`
  // behind it.
  const std::uint32_t since = lane_->since_ms;
  if (since == 0) return;
  const std::uint32_t most = lane_->recovering ? options_.recovery_ms : options_.task_ms;
  if (!HasCome(since + most, now)) return;
  const std::shared_ptr<Lane> lane = std::exchange(lane_, nullptr);
  if (lane->recovering) {
    Refuse(*lane, State::kLost, ModuleError("The module did not answer in time", "timeout"));
  }
  lane->abandoned = true;
  if (lane->task) {
    Reject(*lane->task, {"The module did not answer in time", {}, {}, "timeout"});
    lane->task.reset();
  }
  for (Task& task : lane->tasks) AddTaskLocked(std::move(task));
  lane->tasks.clear();
}

}  // namespace keyplane
