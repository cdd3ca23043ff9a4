// Threads that run records, each on a session of its own.

#include <sys/random.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "clock.h"
#include "cryptoki.h"
#include "pool.h"

namespace keyplane {
namespace {

// A chunk is what a thread takes at once: short enough that others get their share, longer while
// much waits, since each one costs a turn of the event loop.
constexpr double kChunkUs = 100;
constexpr double kLongestChunkUs = 400;
constexpr double kChunksOfQueue = 8;
// A chunk that takes longer than it should goes back to the queue.
constexpr std::uint32_t kLongChunkMs = 8;
// A thread replaces its session at most once in this time.
constexpr std::uint32_t kReplacePauseMs = 20;
constexpr std::uint32_t kNewSessionsPauseMs = 1'000;
constexpr std::uint32_t kMaxOpenFailures = 3;
constexpr std::uint32_t kCpuSample = 16;
// A handle that is invalid again so soon after a recovery found it is not mended by another one.
constexpr std::uint32_t kDoubtMs = 5'000;

std::unique_lock<std::mutex> LockSerial(Module& module) {
  if (!module.serial()) return {};
  return std::unique_lock(module.serial_mutex());
}

// Lets the monitor have what is finished, since the thread may hang while this lives.
template <typename Hand>
class Lent {
 public:
  explicit Lent(std::atomic<Hand>& hand) : hand_(hand) {
    hand_.store(Hand::kModule, std::memory_order_release);
  }
  ~Lent() {
    Hand expected = Hand::kModule;
    while (!hand_.compare_exchange_weak(expected, Hand::kWorker, std::memory_order_acquire)) {
      expected = Hand::kModule;
      std::this_thread::yield();
    }
  }
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;

 private:
  std::atomic<Hand>& hand_;
};

bool TakesFreshIv(const Record& record) {
  return record.op == kEncrypt && record.mechanism == CKM_AES_GCM &&
         (record.iv_mode == kHostIv || record.iv_mode == kMessageHostIv) &&
         (record.flags & kFixedIv) == 0;
}

}  // namespace

// mutex_ is held, here and up to RunWorker.
std::uint32_t Pool::ThreadCap() const {
  return max_workers_ + std::min(num_zombies_, options_.max_zombies);
}

// Returns how many threads a class may have beside those it has.
std::uint32_t Pool::Room(std::size_t job_class) const {
  const std::uint32_t limit = governors_[job_class].limit();
  // Long operations leave a thread to the short ones, and so do those that hang.
  const bool spares = max_workers_ > 1 && (job_class == kRsa || stuck_[job_class] > 0);
  const std::uint32_t most = spares ? max_workers_ - 1 : max_workers_;
  if (AtWork(job_class) >= limit || active_[job_class] >= most) return 0;
  return std::min(limit - AtWork(job_class), most - active_[job_class]);
}

// Returns kNumClasses when there is nothing to do.
Class Pool::Claimable() const {
  for (std::uint32_t i = 0; i < kNumClasses; ++i) {
    const auto job_class = static_cast<Class>((next_class_ + i) % kNumClasses);
    if (queued_[job_class] == 0) continue;
    if (Room(job_class) > 0) return job_class;
  }
  return static_cast<Class>(kNumClasses);
}

std::uint32_t Pool::ChunkLen(Class job_class) const {
  const double service_us = governors_[job_class].service_us();
  if (service_us == 0) return 1;
  const std::uint32_t share = queued_[job_class] / governors_[job_class].limit();
  const double us = std::clamp(service_us * share / kChunksOfQueue, kChunkUs, kLongestChunkUs);
  const double len = std::clamp(us / service_us, 1.0, double{1} * options_.max_chunk);
  return std::max(1U, std::min(static_cast<std::uint32_t>(len), share));
}

// Returns how many threads could begin something now.
std::uint32_t Pool::Demand() const {
  std::uint32_t demand = 0;
  for (std::size_t c = 0; c < kNumClasses; ++c) {
    demand += std::min(queued_[c], Room(c));
  }
  return demand;
}

void Pool::WakeWorkers(std::uint32_t most) {
  for (; most > 0 && Demand() > num_waking_; --most) {
    if (!idle_.empty()) {
      Worker* worker = idle_.back();
      idle_.pop_back();
      worker->woken = true;
      worker->wake.notify_one();
      ++num_waking_;
    } else if (!StartWorker()) {
      return;
    }
  }
}

bool Pool::StartWorker() {
  if (stop_ || num_threads_ >= ThreadCap()) return false;
  if (num_threads_ > num_zombies_ && now_ms() < no_new_sessions_until_) return false;
  Worker& worker = workers_.emplace_back();
  if (!StartThread([this, &worker] { RunWorker(worker); })) {
    workers_.pop_back();
    return false;
  }
  ++num_threads_;
  ++num_waking_;
  return true;
}

Range Pool::Claim(Worker& worker) {
  const Class job_class = Claimable();
  if (job_class == kNumClasses) return {};
  next_class_ = (job_class + 1) % kNumClasses;
  auto& queue = queues_[job_class];
  Range& front = queue.front();
  Range chunk = front;
  chunk.end = std::min(front.end, front.begin + ChunkLen(job_class));
  front.begin = chunk.end;
  if (front.begin == front.end) queue.pop_front();
  queued_[job_class] -= chunk.size();
  ++active_[job_class];
  ++num_busy_;
  worker.job_class = job_class;
  worker.chunk = chunk;
  worker.position = chunk.begin;
  worker.since_ms = now_ms();
  worker.stolen = false;
  worker.busy = true;
  return chunk;
}

void Pool::Park(Lock& lock, Worker& worker) {
  worker.woken = false;
  idle_.push_back(&worker);
  worker.wake.wait(lock, [&] { return worker.woken || worker.retire || stop_; });
  if (worker.woken) {
    --num_waking_;
  } else {
    std::erase(idle_, &worker);
  }
}

void Pool::RunWorker(Worker& worker) {
  ThreadMark mark;
  Lock lock(mutex_);
  --num_waking_;
  Tools tools{.module = use_->module(),
              .ask_pin =
                  [this] {
                    return pins_.Ask([this] { mailbox_->Post({Event::kPinNeeded, 1, 0}); });
                  },
              .short_gcm = short_gcm_,
              .scratch = {}};
  while (!worker.retire && !stop_) {
    if (!serves_ || Claimable() == kNumClasses) {
      Park(lock, worker);
      continue;
    }
    if (!worker.session.open || worker.session.spoilt || worker.session.epoch < session_floor_) {
      worker.opening = true;
      worker.since_ms = now_ms();
      lock.unlock();
      CK_RV ckr = CKR_OK;
      Function function = Function::kNone;
      bool opened = false;
      {
        InModule inside(mark);
        opened = ReplaceSession(worker.session, ckr, function);
      }
      lock.lock();
      worker.opening = false;
      if (std::exchange(worker.zombie, false)) {
        ZombieReturned();
      }
      if (!opened) OpenFailed(lock, worker, ckr, function);
      if (opened) Opened(worker);
      continue;
    }
    const Range chunk = Claim(worker);
    const Class job_class = worker.job_class;
    // Each thread that finds work wakes two more, so that no one thread has to wake them all.
    WakeWorkers(2);
    lock.unlock();
    {
      InModule inside(mark);
      RunChunk(worker, tools, chunk);
    }
    lock.lock();
    worker.busy = false;
    worker.chunk = {};
    if (std::exchange(worker.zombie, false)) {
      worker.session.spoilt = true;
      ZombieReturned();
      if (num_threads_ > ThreadCap()) worker.retire = true;
    } else {
      --active_[job_class];
      if (std::exchange(worker.stuck, false)) --stuck_[job_class];
      if (--num_busy_ == 0) quiet_.notify_all();
    }
  }
  lock.unlock();
  {
    InModule inside(mark);
    DropSession(worker.session);
  }
  lock.lock();
  std::erase(idle_, &worker);
  workers_.remove_if([&](const Worker& each) { return &each == &worker; });
  --num_threads_;
  quiet_.notify_all();
}

void Pool::ZombieReturned() {
  mailbox_->Post({Event::kZombieReturned, static_cast<double>(--num_zombies_), 0});
  // Its session may be what another one was refused for.
  max_workers_ = std::min(options_.max_sessions, max_workers_ + 1);
}

void Pool::RunChunk(Worker& worker, Tools& tools, const Range& chunk) {
  static thread_local std::uint32_t num_chunks = 0;
  Batch& batch = *chunk.batch;
  const bool samples_cpu = chunk.size() == 1 || num_chunks++ % kCpuSample == 0;
  const std::uint64_t cpu_before = samples_cpu ? ThreadCpuNs() : 0;
  const std::uint64_t before = NowNs();
  const std::uint32_t started = now_ms();
  std::uint32_t num_run = 0;
  Range rest{chunk.batch, chunk.end, chunk.end};
  for (std::uint32_t i = chunk.begin; i < chunk.end; ++i) {
    // The first one is never stolen: the position says that it has begun.
    if (i != chunk.begin && worker.stolen.load(std::memory_order_acquire)) break;
    const std::uint32_t now = now_ms();
    const bool stops = now - started > kLongChunkMs || stop_now_.load(std::memory_order_relaxed);
    if (i != chunk.begin && stops) {
      rest.begin = i;
      break;
    }
    worker.position.store(i, std::memory_order_release);
    worker.since_ms.store(now, std::memory_order_relaxed);
    Job& job = batch.jobs[i];
    if (!job.Take(JobState::kQueued, JobState::kRunning)) continue;
    ++num_run;
    if (!RunOne(worker, tools, batch, job)) {
      rest.begin = i + 1;
      break;
    }
  }
  const std::uint64_t wall_ns = NowNs() - before;
  const std::uint64_t cpu_ns = samples_cpu ? ThreadCpuNs() - cpu_before : 0;
  bytes_in_.fetch_add(std::exchange(worker.bytes_in, 0), std::memory_order_relaxed);
  bytes_out_.fetch_add(std::exchange(worker.bytes_out, 0), std::memory_order_relaxed);
  // Only with the lock: who gave a record up tells of it under the lock, and its release comes
  // after.
  Lock lock(mutex_);
  mailbox_->Post(std::exchange(worker.finished, {}));
  if (!worker.stolen) Requeue(std::move(rest));
  if (num_run == 0) return;
  governors_[worker.job_class].Add(num_run, wall_ns, cpu_ns);
  std::size_t bucket = 0;
  while (bucket < 15 && wall_ns / 1'000 / num_run >= std::uint64_t{1} << bucket) ++bucket;
  histogram_[bucket] += num_run;
}

bool Pool::RunOne(Worker& worker, Tools& tools, Batch& batch, Job& job) {
  std::vector<Finished>& finished = worker.finished;
  const auto index = static_cast<std::uint32_t>(&job - batch.jobs.get());
  const std::uint32_t begun_ms = worker.since_ms.load(std::memory_order_relaxed);
  if (job.record.deadline != 0 && begun_ms >= job.record.deadline) {
    Finish(batch, job, {.reason = Reason::kDeadline}, Status::kNotSent, finished);
    return true;
  }
  Key* key = job.key;
  if (key != nullptr && key->use->refused) {
    Finish(batch, job, {.reason = Reason::kDuplicateIv}, Status::kRejected, finished);
    return true;
  }
  if (key != nullptr && key->lost) {
    Finish(batch, job, {.reason = Reason::kKeyNotFound}, Status::kNotSent, finished);
    return true;
  }
  for (;;) {
    Session& session = worker.session;
    if (!session.open || session.spoilt) {
      Answer answer{.reason = Reason::kSession};
      bool replaced = false;
      {
        const Lent lent(worker.hand);
        replaced = ReplaceSession(session, answer.ckr, answer.function);
      }
      if (!replaced) {
        if (Judge(answer.ckr) == Next::kRecover) {
          return RunLater({worker.chunk.batch, index, index + 1}, answer, finished);
        }
        Finish(batch, job, answer, Status::kNotSent, finished);
        return false;
      }
    }
    if (key != nullptr && key->epoch != epoch_) {
      // Found in an epoch that has ended meanwhile; the next recovery finds it again.
      const Answer answer{.ckr = CKR_KEY_HANDLE_INVALID, .function = Function::kFindObjects};
      return RunLater({worker.chunk.batch, index, index + 1}, answer, finished);
    }
    const std::uint32_t wanted = job.record.ckr;
    if (key != nullptr && wanted != 0 && wanted != key->epoch) {
      // Under this name there may be another key since.
      Finish(batch, job, {.reason = Reason::kStale}, Status::kNotSent, finished);
      return true;
    }
    Answer answer;
    {
      const Lent lent(worker.hand);
      const auto serial = LockSerial(tools.module);
      answer = RunJob(tools, session, job, *batch.arena);
    }
    if (answer.next == Next::kRecover && SessionIsAlone(answer.ckr)) {
      // The number of a session that is gone is not ours to close.
      session.open = false;
      --num_sessions_;
      answer.next = Next::kReplace;
    }
    switch (answer.next) {
      case Next::kSettle:
        if (answer.reason == Reason::kDuplicateIv) {
          key->use->refused = true;
          mailbox_->Post({Event::kDuplicateIv, static_cast<double>(key->ref), 0});
        }
        if (answer.ckr == CKR_OK) {
          worked_.store(true, std::memory_order_relaxed);
          worker.bytes_in += job.record.input_len;
          worker.bytes_out += answer.output_len;
        }
        Finish(batch, job, answer, Status::kDone, finished);
        return true;
      case Next::kAbandon:
        session.spoilt = true;
        Finish(batch, job, answer, Status::kUnknown, finished);
        return false;
      case Next::kRecover:
        if (key != nullptr && IsUnusable(*key, session, answer.ckr)) {
          answer.reason = Reason::kKeyNotFound;
          Finish(batch, job, answer, Status::kDone, finished);
          return true;
        }
        return RunLater({worker.chunk.batch, index, index + 1}, answer, finished);
      case Next::kReplace:
        break;
    }
    session.spoilt = true;
    mailbox_->Post({Event::kSessionReplaced, static_cast<double>(answer.ckr),
                    static_cast<double>(answer.function)});
    const bool may_retry = (job.record.flags & kMayRetry) != 0 || !answer.may_be_done;
    if (job.retried || !may_retry || job.state.load() != JobState::kRunning) {
      Finish(batch, job, answer, Status::kDone, finished);
      return true;
    }
    if (answer.may_be_done && TakesFreshIv(job.record)) {
      std::uint8_t* iv = batch.arena->bytes() + job.record.iv_offset;
      if (getrandom(iv, job.record.iv_len, 0) != static_cast<ssize_t>(job.record.iv_len)) {
        Finish(batch, job, answer, Status::kDone, finished);
        return true;
      }
      job.result |= kFreshIv;
    }
    job.retried = true;
    job.result |= kRetried;
    retries_.fetch_add(1, std::memory_order_relaxed);
    const std::uint32_t now = now_ms();
    if (now - worker.replaced_ms < kReplacePauseMs) {
      std::this_thread::sleep_for(std::chrono::milliseconds(kReplacePauseMs));
    }
    worker.replaced_ms = now;
  }
}

bool Pool::RunLater(const Range& job_range, const Answer& answer, std::vector<Finished>& finished) {
  Batch& batch = *job_range.batch;
  Job& job = batch.jobs[job_range.begin];
  WantRecovery(answer.ckr, answer.function);
  const bool may_retry = (job.record.flags & kMayRetry) != 0 || !answer.may_be_done;
  if (job.retried || !may_retry) {
    const bool sent = answer.reason != Reason::kSession;
    Finish(batch, job, answer, sent ? Status::kDone : Status::kNotSent, finished);
    return false;
  }
  job.retried = true;
  job.result |= kRetried;
  retries_.fetch_add(1, std::memory_order_relaxed);
  if (answer.may_be_done && TakesFreshIv(job.record)) {
    std::uint8_t* iv = batch.arena->bytes() + job.record.iv_offset;
    if (getrandom(iv, job.record.iv_len, 0) == static_cast<ssize_t>(job.record.iv_len)) {
      job.result |= kFreshIv;
    }
  }
  Lock lock(mutex_);
  if (job.Take(JobState::kRunning, JobState::kQueued)) {
    Requeue(job_range);
  } else {
    Finish(batch, job, answer, Status::kUnknown, finished);
  }
  return false;
}

bool Pool::OpenSession(Session& session, CK_RV& ckr, Function& function) {
  CK_SLOT_ID slot_id = 0;
  std::uint32_t epoch = 0;
  {
    Lock lock(mutex_);
    slot_id = token_->token.slot_id;
    epoch = epoch_;
  }
  Module& module = use_->module();
  const auto serial = LockSerial(module);
  const CK_FUNCTION_LIST& functions = *module.functions();
  CK_SESSION_HANDLE handle = 0;
  function = Function::kOpenSession;
  ckr = functions.C_OpenSession(slot_id, CKF_SERIAL_SESSION, nullptr, nullptr, &handle);
  if (ckr != CKR_OK) return false;
  if (login_required_) {
    CK_SESSION_INFO info{};
    function = Function::kGetSessionInfo;
    ckr = functions.C_GetSessionInfo(handle, &info);
    if (ckr == CKR_OK && !IsUserState(info.state)) ckr = CKR_USER_NOT_LOGGED_IN;
    if (ckr != CKR_OK) {
      functions.C_CloseSession(handle);
      return false;
    }
  }
  session = {.handle = handle, .open = true, .epoch = epoch};
  ++num_sessions_;
  return true;
}

bool Pool::ReplaceSession(Session& session, CK_RV& ckr, Function& function) {
  Session old = std::exchange(session, {});
  if (old.open) ++replaced_;
  bool opened = OpenSession(session, ckr, function);
  if (!opened && ckr == CKR_SESSION_COUNT && old.open) {
    // No room for both at once.
    DropSession(old);
    opened = OpenSession(session, ckr, function);
  }
  DropSession(old);
  return opened;
}

void Pool::DropSession(Session& session) {
  if (!session.open) return;
  session.open = false;
  {
    Lock lock(mutex_);
    if (session.epoch < session_floor_) return;
  }
  --num_sessions_;
  const auto serial = LockSerial(use_->module());
  use_->module().functions()->C_CloseSession(session.handle);
}

// Tells whether a session died while the others and the login live.
bool Pool::SessionIsAlone(CK_RV ckr) {
  if (ckr != CKR_SESSION_HANDLE_INVALID && ckr != CKR_SESSION_CLOSED) return false;
  CK_SESSION_HANDLE anchor = 0;
  {
    Lock lock(mutex_);
    if (!anchor_open_ || recovery_wanted_ || state_ != State::kReady) return false;
    anchor = anchor_;
  }
  const auto serial = LockSerial(use_->module());
  CK_SESSION_INFO info{};
  return use_->module().functions()->C_GetSessionInfo(anchor, &info) == CKR_OK &&
         (!login_required_ || IsUserState(info.state));
}

// Tells whether a module finds an object and cannot use it, though the login lives. Recoveries,
// which stop the calls with all other keys, would go on for ever.
bool Pool::IsUnusable(Key& key, const Session& session, CK_RV ckr) {
  if (ckr != CKR_KEY_HANDLE_INVALID && ckr != CKR_OBJECT_HANDLE_INVALID) return false;
  const std::uint32_t now = now_ms();
  const std::uint32_t epoch = key.epoch;
  if (key.doubted_ms == 0 || now - key.doubted_ms > kDoubtMs) {
    key.doubted_epoch = epoch;
    key.doubted_ms = now;
    return false;
  }
  if (key.doubted_epoch == epoch) return false;
  const auto serial = LockSerial(use_->module());
  CK_SESSION_INFO info{};
  return use_->module().functions()->C_GetSessionInfo(session.handle, &info) == CKR_OK &&
         (!login_required_ || IsUserState(info.state));
}

void Pool::Opened(Worker& worker) {
  worker.num_failures = 0;
  // Another thread may have been refused while this session was open and not yet counted.
  const std::uint32_t num_open =
      num_sessions_ > num_zombies_ + 1 ? num_sessions_ - num_zombies_ - 1 : 1;
  if (num_open <= max_workers_) return;
  max_workers_ = std::min(options_.max_sessions, num_open);
  mailbox_->Post({Event::kSessionLimit, static_cast<double>(max_workers_), 0});
}

void Pool::OpenFailed(Lock&, Worker& worker, CK_RV ckr, Function function) {
  const std::uint32_t num_others = num_sessions_ > 1 ? num_sessions_ - 1 : 0;
  if (ckr == CKR_SESSION_COUNT) {
    max_workers_ = std::max(1U, num_others > num_zombies_ ? num_others - num_zombies_ : 1);
    mailbox_->Post({Event::kSessionLimit, static_cast<double>(max_workers_), 0});
  } else {
    no_new_sessions_until_ = now_ms() + kNewSessionsPauseMs;
  }
  if (num_others > 0) {
    worker.retire = true;
    return;
  }
  if (Judge(ckr) == Next::kRecover) {
    WantRecoveryLocked(ckr, function);
    return;
  }
  if (++worker.num_failures < kMaxOpenFailures) return;
  worker.num_failures = 0;
  FailQueued(Reason::kSession, ckr, function);
}

}  // namespace keyplane
