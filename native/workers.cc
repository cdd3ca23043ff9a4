// Threads that run records, each on a session of its own: how many there are, and who claims what.

#include <algorithm>
#include <utility>

#include "clock.h"
#include "pool.h"

namespace keyplane {
namespace {

// A chunk is what a thread takes at once: short enough that others get their share, longer while
// much waits, since each one costs a turn of the event loop.
constexpr double kChunkUs = 100;
constexpr double kLongestChunkUs = 400;
constexpr double kChunksOfQueue = 8;
// What a thread has done may wait for its next chunk, up to so much work, while so much is queued
// for each thread that the event loop can bring more before they run dry. Where much is queued, it
// may wait a part of the time that the last record has to: each turn of the event loop takes a core
// from a thread.
constexpr double kHeldUs = 200;
constexpr double kLongestHeldUs = 2'000;
constexpr double kHeldPartOfQueue = 0.25;
constexpr double kRefillUs = 50;

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

Woken Pool::WakeWorkers() {
  Woken woken;
  for (auto& worker : woken.workers) {
    if (Demand() <= num_waking_) break;
    if (!idle_.empty()) {
      worker = std::move(idle_.back());
      idle_.pop_back();
      worker->woken = true;
      ++num_waking_;
    } else if (!StartWorker()) {
      break;
    }
  }
  return woken;
}

// Leaves out those whose session must be replaced first: each of them could hang over that as well.
std::shared_ptr<Worker> Pool::WakeOneWithSession() {
  if (Demand() <= num_waking_) return nullptr;
  const auto found = std::find_if(idle_.rbegin(), idle_.rend(),
                                  [this](const auto& worker) { return HasSession(*worker); });
  if (found == idle_.rend()) return nullptr;
  std::shared_ptr<Worker> worker = *found;
  idle_.erase(std::next(found).base());
  worker->woken = true;
  ++num_waking_;
  return worker;
}

bool Pool::HasSession(const Worker& worker) const {
  const Session& session = worker.session;
  return session.open && !session.spoilt && session.epoch >= session_floor_;
}

bool Pool::StartWorker() {
  if (stop_ || num_threads_ >= ThreadCap()) return false;
  // It may have been over for so long that the clock came round.
  const std::uint32_t paused_ms = now_ms() - (no_new_sessions_until_ - kNewSessionsPauseMs);
  if (paused_ms >= kNewSessionsPauseMs) no_new_sessions_until_ = 0;
  if (num_threads_ > num_zombies_ && no_new_sessions_until_ != 0) return false;
  auto worker = std::make_shared<Worker>();
  workers_.push_back(worker);
  if (!StartThread([this, worker] { RunWorker(worker); })) {
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

void Pool::Park(Lock& lock, const std::shared_ptr<Worker>& self) {
  Worker& worker = *self;
  worker.woken = false;
  idle_.push_back(self);
  worker.wake.wait(lock, [&] { return worker.woken || worker.retire || stop_; });
  if (worker.woken) {
    --num_waking_;
  } else {
    std::erase(idle_, self);
  }
}

void Pool::RunWorker(const std::shared_ptr<Worker>& self) {
  Worker& worker = *self;
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
      if (!Tell(lock, worker)) Park(lock, self);
      continue;
    }
    if (!HasSession(worker)) {
      if (Tell(lock, worker)) continue;
      // It may hang there.
      const std::shared_ptr<Worker> other = WakeOneWithSession();
      BeginSessionCall(worker);
      lock.unlock();
      if (other != nullptr) other->wake.notify_one();
      CK_RV ckr = CKR_OK;
      Function function = Function::kNone;
      bool opened = false;
      {
        InModule inside(mark);
        opened = ReplaceSession(worker.session, ckr, function);
      }
      lock.lock();
      EndSessionCall(worker);
      if (!opened) OpenFailed(lock, worker, ckr, function);
      if (opened) Opened(worker);
      continue;
    }
    const Class before = worker.job_class;
    const Range chunk = Claim(worker);
    // Each thread that finds work wakes two more, so that no one thread has to wake them all.
    const Woken woken = WakeWorkers();
    const bool wakes = (before != worker.job_class || !MayHold(worker)) && Put(worker);
    lock.unlock();
    woken.Notify();
    if (wakes) mailbox_->Wake();
    ChunkDone done;
    {
      InModule inside(mark);
      done = RunChunk(worker, tools, chunk);
    }
    lock.lock();
    EndChunk(worker, std::move(done));
  }
  Tell(lock, worker);
  BeginSessionCall(worker);
  lock.unlock();
  {
    InModule inside(mark);
    DropSession(worker.session);
  }
  lock.lock();
  EndSessionCall(worker);
  std::erase(idle_, self);
  workers_.remove(self);
  --num_threads_;
  // It may have been woken for a record that others must run now.
  if (serves_) WakeWorkers().Notify();
  quiet_.notify_all();
}

// mutex_ is held, here and below.
void Pool::BeginSessionCall(Worker& worker) {
  worker.in_session_call = true;
  worker.since_ms = now_ms();
  ++num_in_session_calls_;
}

void Pool::EndSessionCall(Worker& worker) {
  worker.in_session_call = false;
  if (std::exchange(worker.zombie, false)) {
    ZombieReturned();
    if (num_threads_ > ThreadCap()) worker.retire = true;
  } else if (--num_in_session_calls_ == 0) {
    quiet_.notify_all();
  }
}

void Pool::EndChunk(Worker& worker, ChunkDone done) {
  const Class job_class = worker.job_class;
  if (!worker.stolen) Requeue(std::move(done.rest));
  if (done.num_run != 0) {
    governors_[job_class].Add(done.num_run, done.wall_ns, done.cpu_ns);
    const std::uint64_t us = done.wall_ns / 1'000 / done.num_run;
    std::size_t bucket = 0;
    while (bucket < 15 && us >= std::uint64_t{1} << bucket) ++bucket;
    histogram_[bucket] += done.num_run;
  }
  worker.held_us += static_cast<double>(done.wall_ns) / 1e3;
  worker.busy = false;
  worker.chunk = {};
  if (std::exchange(worker.zombie, false)) {
    worker.session.spoilt = true;
    mailbox_->Post(std::exchange(worker.finished, {}));
    ZombieReturned();
    if (num_threads_ > ThreadCap()) worker.retire = true;
  } else {
    --active_[job_class];
    if (std::exchange(worker.stuck, false)) --stuck_[job_class];
    if (--num_busy_ == 0) quiet_.notify_all();
  }
}

// Tells whether what a thread has done may wait until it has run the chunk that it has claimed.
bool Pool::MayHold(const Worker& worker) const {
  const Governor& governor = governors_[worker.job_class];
  const double next_us = governor.service_us() * worker.chunk.size();
  const double left_us = governor.service_us() * queued_[worker.job_class] / governor.limit();
  const double longest_us = std::clamp(left_us * kHeldPartOfQueue, kHeldUs, kLongestHeldUs);
  return worker.held_us + next_us <= longest_us && left_us >= kRefillUs;
}

// Puts what a thread has done into the mailbox. Only with the lock: who gave a record up tells of
// it under the lock, and its release comes after. Returns true if Wake must follow, without the
// lock.
bool Pool::Put(Worker& worker) {
  worker.held_us = 0;
  return mailbox_->Put(std::exchange(worker.finished, {}));
}

// Returns whether there was something to tell: then the lock was given up meanwhile.
bool Pool::Tell(Lock& lock, Worker& worker) {
  if (worker.finished.empty()) return false;
  const bool wakes = Put(worker);
  // Who submits meanwhile need wake nobody else: this thread will look for work.
  const bool looks = !worker.retire && !stop_;
  if (looks) ++num_waking_;
  lock.unlock();
  if (wakes) mailbox_->Wake();
  lock.lock();
  if (looks) --num_waking_;
  return true;
}

void Pool::ZombieReturned() {
  mailbox_->Post({Event::kZombieReturned, static_cast<double>(--num_zombies_), 0});
  // Its session may be what another one was refused for.
  max_workers_ = std::min(options_.max_sessions, max_workers_ + 1);
}

}  // namespace keyplane
