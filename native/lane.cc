// The lane: what changes the state of a token runs here, one task at a time.

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "objects.h"
#include "pool.h"
#include "values.h"

namespace keyplane {
namespace {

constexpr std::uint32_t kLongestRecoveryPauseMs = 1'000;
// A history takes 64 KiB once the token has made an IV for its key.
constexpr std::size_t kMaxUses = 1'024;

Failure NoThread() { return {"No thread could be started", {}, {}, "busy"}; }

}  // namespace

void Pool::Reject(std::uint32_t task, Failure failure) {
  if (task == 0) return;
  mailbox_->Post(
      TaskResult{task, [failure = std::move(failure)](napi_env env, napi_deferred deferred) {
                   RejectWith(env, deferred, failure);
                 }});
}

void Pool::Fulfil(std::uint32_t task, MakeValue make) {
  if (task == 0) return;
  mailbox_->Post(TaskResult{task, [make = std::move(make)](napi_env env, napi_deferred deferred) {
                              napi_value value = nullptr;
                              if (make) value = make(env);
                              if (value == nullptr) napi_get_undefined(env, &value);
                              napi_resolve_deferred(env, deferred, value);
                            }});
}

// mutex_ is held.
Failure Pool::RefusalNow() const {
  switch (state_) {
    case State::kLost:
    case State::kLocked: {
      const bool lost = state_ == State::kLost;
      Failure failure{
          lost ? "The token is lost" : "The login was refused", {}, {}, lost ? "lost" : "locked"};
      if (refusal_ckr_ != CKR_OK) {
        failure.ckr = refusal_ckr_;
        failure.function = NameOf(refusal_function_);
      }
      return failure;
    }
    default:
      return {"The pool is not open", {}, {}, "closed"};
  }
}

void Pool::AddTask(Task task) {
  Lock lock(mutex_);
  AddTaskLocked(std::move(task));
}

void Pool::AddTaskLocked(Task task) {
  const bool serves =
      state_ == State::kOpening || state_ == State::kReady || state_ == State::kRecovering;
  if (!serves || stop_) {
    Reject(task.id, RefusalNow());
    return;
  }
  if (!StartLane()) {
    Reject(task.id, NoThread());
    return;
  }
  lane_->tasks.push_back(std::move(task));
  lane_->wake.notify_one();
  WakeMonitor();
}

bool Pool::StartLane() {
  if (lane_ != nullptr) return true;
  // As many may hang as threads may: one more would hang as well.
  if (num_lanes_ > std::max(1U, options_.max_zombies)) return false;
  const auto lane = std::make_shared<Lane>();
  if (!StartThread([this, lane] { RunLane(lane); })) return false;
  lane_ = lane;
  ++num_lanes_;
  return true;
}

void Pool::Run(std::uint32_t task, bool repeatable, Work work) {
  AddTask({.id = task, .repeatable = repeatable, .work = std::move(work)});
}

void Pool::Open(std::uint32_t task) {
  Lock lock(mutex_);
  if (state_ != State::kNew) {
    Reject(task, {"The pool was opened before", {}, {}, "bad-argument"});
    return;
  }
  WakeMonitor();
  if (!monitor_runs_ || !StartCloser() || !StartLane()) {
    Reject(task, NoThread());
    return;
  }
  state_ = State::kOpening;
  waiting_.push_back({task, true});
  recovery_wanted_ = true;
  lane_->wake.notify_one();
}

void Pool::Recover(std::uint32_t task) {
  Lock lock(mutex_);
  const bool possible = state_ == State::kReady || state_ == State::kRecovering ||
                        state_ == State::kLost || state_ == State::kLocked;
  if (!possible) {
    Reject(task, RefusalNow());
    return;
  }
  if (!StartLane()) {
    Reject(task, NoThread());
    return;
  }
  waiting_.push_back({task, false});
  if (recovery_wanted_ || state_ == State::kRecovering) return;
  cause_ckr_ = CKR_OK;
  cause_function_ = Function::kNone;
  recovery_pause_ms_ = 0;
  recovery_wanted_ = true;
  lane_->wake.notify_one();
  WakeMonitor();
}

void Pool::WantRecovery(CK_RV ckr, Function function) {
  Lock lock(mutex_);
  WantRecoveryLocked(ckr, function);
}

void Pool::WantRecoveryLocked(CK_RV ckr, Function function) {
  if (recovery_wanted_ || state_ != State::kReady) return;
  cause_ckr_ = ckr;
  cause_function_ = function;
  recovery_wanted_ = true;
  // Nobody begins another job; RunRecovery waits for those that run.
  state_ = State::kRecovering;
  serves_ = false;
  // Without a thread for it the monitor tries again.
  if (StartLane()) lane_->wake.notify_one();
  WakeMonitor();
}

// mutex_ is held. From now on the lane may hang; meanwhile the monitor may have gone to sleep.
void Pool::Watch(Lane& lane) {
  lane.since_ms = now_ms();
  WakeMonitor();
}

void Pool::RunLane(const std::shared_ptr<Lane>& lane) {
  ThreadMark mark;
  lane->mark = &mark;
  Lock lock(mutex_);
  for (;;) {
    lane->wake.wait(lock, [&] {
      return lane->stop || lane->abandoned || recovery_wanted_ || !lane->tasks.empty();
    });
    if (lane->stop || lane->abandoned) break;
    if (recovery_wanted_) {
      // A cause that recovery does not cure must not keep the token busy.
      const std::uint32_t pause = worked_ ? 0 : recovery_pause_ms_;
      if (pause != 0) {
        lane->wake.wait_for(lock, std::chrono::milliseconds(pause),
                            [&] { return lane->stop || lane->abandoned; });
        if (lane->stop || lane->abandoned) break;
      }
      recovery_pause_ms_ =
          std::clamp(recovery_pause_ms_ * 2, std::uint32_t{10}, kLongestRecoveryPauseMs);
      if (worked_.exchange(false)) recovery_pause_ms_ = 10;
      recovery_wanted_ = false;
      lane->recovering = true;
      Watch(*lane);
      lock.unlock();
      RunRecovery(*lane);
      lock.lock();
      lane->recovering = false;
      lane->since_ms = 0;
      quiet_.notify_all();
      continue;
    }
    Task task = std::move(lane->tasks.front());
    lane->tasks.pop_front();
    if (state_ != State::kReady) {
      Reject(task.id, RefusalNow());
      continue;
    }
    lane->task = task.id;
    Watch(*lane);
    lock.unlock();
    RunTask(*lane, std::move(task));
    lock.lock();
    lane->task.reset();
    lane->since_ms = 0;
    quiet_.notify_all();
  }
  for (const Task& task : lane->tasks) Reject(task.id, {"The pool is closed", {}, {}, "closed"});
  lane->tasks.clear();
  lane->mark = nullptr;
  --num_lanes_;
  quiet_.notify_all();
}

void Pool::RunTask(Lane& lane, Task task) {
  MakeValue value;
  Failure failure;
  bool failed = false;
  bool recover = false;
  Module& module = use_->module();
  Lock lock(mutex_);
  LaneTools tools{*module.functions(), module, anchor_, token_->token.slot_id, epoch_};
  lock.unlock();
  {
    InModule inside(*lane.mark);
    const auto serial = module.LockSerial();
    try {
      value = task.work(tools);
    } catch (const ModuleError& error) {
      failed = true;
      failure = ToFailure(error);
      recover = error.ckr() && keyplane::Judge(*error.ckr()) == Next::kRecover;
    } catch (const std::exception& error) {
      failed = true;
      failure = {error.what(), {}, {}, {}};
    }
  }
  lock.lock();
  if (lane.abandoned) return;
  if (failed && recover && state_ == State::kReady) {
    WantRecoveryLocked(*failure.ckr, Function::kNone);
    if (std::exchange(task.repeatable, false)) {
      lane.tasks.push_front(std::move(task));
      return;
    }
  }
  lock.unlock();
  if (failed) {
    Reject(task.id, std::move(failure));
  } else {
    Fulfil(task.id, std::move(value));
  }
}

void Pool::Resolve(std::uint32_t task, KeyQuery query, std::vector<CK_ATTRIBUTE_TYPE> attributes) {
  auto key = std::make_shared<Key>();
  key->query = std::move(query);
  Run(task, true, [this, key, attributes = std::move(attributes)](LaneTools& tools) -> MakeValue {
    const FoundKey found = LoadKey(tools, *key);
    const AttributeRow row = ReadAttributes(tools, found.object, attributes);
    {
      Lock lock(mutex_);
      found.WriteTo(*key);
      key->epoch = tools.epoch;
      if (key->ref == 0) {
        key->use = UseOf(*key);
        keys_.push_back(key);
        key->ref = static_cast<std::uint32_t>(keys_.size());
      }
    }
    return [key, row](napi_env env) { return ToResolvedKey(env, *key, row); };
  });
}

// mutex_ is held.
std::shared_ptr<KeyUse> Pool::UseOf(const Key& key) {
  // A key without an id goes by its label.
  const bool named = !key.found_id.empty();
  auto name = std::make_tuple(key.query.object_class, named,
                              named ? key.found_id : key.query.label.value_or(Bytes()));
  if (uses_.size() >= kMaxUses) {
    std::erase_if(uses_, [](const auto& each) {
      return each.second.use_count() == 1 && !each.second->refused;
    });
  }
  auto& use = uses_[std::move(name)];
  if (use == nullptr) use = std::make_shared<KeyUse>();
  return use;
}

}  // namespace keyplane
