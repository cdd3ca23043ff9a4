#include "pool.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "clock.h"
#include "objects.h"

namespace keyplane {

bool TokenSelector::Matches(const TokenInfo& token) const {
  const auto agrees = [](const auto& wanted, const auto& has) { return !wanted || *wanted == has; };
  return agrees(label, token.label) && agrees(serial, token.serial) &&
         agrees(manufacturer, token.manufacturer) && agrees(model, token.model) &&
         agrees(slot_id, token.slot_id);
}

Failure ToFailure(const ModuleError& error) {
  return {error.what(), error.ckr(), error.function(), error.reason()};
}

Pool::Pool(PoolOptions options, std::shared_ptr<Mailbox> mailbox)
    : options_(std::move(options)),
      mailbox_(std::move(mailbox)),
      started_ns_(CoarseNs()),
      max_workers_(options_.max_sessions) {
  for (std::size_t i = 0; i < kNumClasses; ++i) {
    const Limits whole{1, options_.max_sessions};
    bounds_[i] = options_.limits[i].value_or(whole);
    governors_[i].SetLimits(bounds_[i]);
  }
}

Pool::~Pool() = default;

std::uint64_t Pool::clock_ms() const {
  return (CoarseNs() - started_ns_) / 1'000'000 + options_.clock_start_ms + 1;
}

std::uint32_t Pool::now_ms() const { return std::max(1U, static_cast<std::uint32_t>(clock_ms())); }

State Pool::state() {
  Lock lock(mutex_);
  return state_;
}

Submitted Pool::Submit(const std::shared_ptr<Arena>& arena, std::uint32_t first,
                       std::uint32_t count) {
  if (count == 0 || first >= arena->num_records() || count > arena->num_records() - first) {
    return Submitted::kBadRange;
  }
  if (records_in_flight_ + count > options_.queue_records) return Submitted::kBusyRecords;
  const auto batch = std::make_shared<Batch>(arena, count);
  batch->submitted_ms = now_ms();
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (arena->in_flight[first + i] != 0) return Submitted::kInFlight;
    Job& job = batch->jobs[i];
    std::memcpy(&job.record, arena->record(first + i), kRecordLen);
    job.index = first + i;
    job.valid = CheckRecord(*arena, job.record);
    if (!job.valid) {
      // Its ranges may lie anywhere: nothing uses them, nor do they count.
      job.record.flags = 0;
      job.record.input_len = 0;
      job.record.output_capacity = 0;
    }
    job.retried = false;
    job.result = 0;
    job.key = nullptr;
    job.job_class = kOther;
    job.state.store(JobState::kQueued, std::memory_order_relaxed);
    bytes += std::uint64_t{job.record.input_len} + job.record.output_capacity;
  }
  if (bytes_in_flight_ + bytes > options_.queue_bytes) return Submitted::kBusyBytes;

  std::vector<Finished> finished;
  Woken woken;
  {
    Lock lock(mutex_);
    if (state_ == State::kNew || state_ >= State::kClosing) return Submitted::kClosed;
    const bool refused = state_ == State::kLost || state_ == State::kLocked;
    std::uint32_t begin = 0;
    const auto flush = [&](std::uint32_t end) {
      if (begin < end) {
        const Class job_class = batch->jobs[begin].job_class;
        queues_[job_class].push_back({batch, begin, end});
        queued_[job_class] += end - begin;
      }
      begin = end;
    };
    for (std::uint32_t i = 0; i < count; ++i) {
      Job& job = batch->jobs[i];
      Answer answer;
      Status status = Status::kPending;
      if (!job.valid) {
        status = Status::kRejected;
        answer.reason = Reason::kBadRecord;
      } else if (job.record.op != kRandom) {
        const std::uint32_t ref = job.record.key_ref;
        if (ref == 0 || ref > keys_.size() || keys_[ref - 1] == nullptr) {
          status = Status::kRejected;
          answer.reason = Reason::kBadKeyRef;
        } else {
          job.key = keys_[ref - 1].get();
        }
      }
      if (status == Status::kPending && refused) {
        status = Status::kNotSent;
        answer.reason = state_ == State::kLost ? Reason::kLost : Reason::kLocked;
        answer.ckr = refusal_ckr_;
        answer.function = refusal_function_;
      }
      if (status != Status::kPending) {
        flush(i);
        begin = i + 1;
        Finish(*batch, job, answer, status, finished);
        continue;
      }
      const Class job_class = ClassOf(job.record);
      if (begin < i && batch->jobs[begin].job_class != job_class) flush(i);
      job.job_class = job_class;
      NoteDeadline(job.record.deadline);
    }
    flush(count);
    if (serves_) woken = WakeWorkers();
    WakeMonitor();
  }
  woken.Notify();
  for (std::uint32_t i = 0; i < count; ++i) {
    const Record& record = batch->jobs[i].record;
    const std::uint64_t len = std::uint64_t{record.input_len} + record.output_capacity;
    arena->in_flight[first + i] = len + 1;
  }
  arena->num_in_flight += count;
  records_in_flight_ += count;
  bytes_in_flight_ += bytes;
  submitted_.fetch_add(count, std::memory_order_relaxed);
  mailbox_->Post(std::move(finished));
  return Submitted::kAccepted;
}

void Pool::Settle(const Finished& finished) {
  if (finished.kind == Kind::kTimedOut) return;
  Arena& arena = *finished.arena;
  for (std::uint32_t i = 0; i < finished.count; ++i) {
    std::uint64_t& slot = arena.in_flight[finished.first + i];
    if (slot != 0) bytes_in_flight_ -= slot - 1;
    slot = 0;
  }
  arena.num_in_flight -= finished.count;
  records_in_flight_ -= finished.count;
  if (records_in_flight_ == 0 && !released_keys_.empty()) {
    Lock lock(mutex_);
    released_keys_.clear();
  }
}

// mutex_ is held, here and in Requeue.
void Pool::NoteDeadline(std::uint32_t deadline) {
  if (deadline == 0) return;
  if (next_deadline_ == 0 || !HasCome(next_deadline_, deadline)) next_deadline_ = deadline;
}

void Pool::Requeue(Range range) {
  if (range.begin >= range.end) return;
  const Class job_class = range.batch->jobs[range.begin].job_class;
  queued_[job_class] += range.size();
  for (std::uint32_t i = range.begin; i < range.end; ++i) {
    NoteDeadline(range.batch->jobs[i].record.deadline);
  }
  queues_[job_class].push_front(std::move(range));
}

void Pool::Finish(Batch& batch, Job& job, const Answer& answer, Status status,
                  std::vector<Finished>& finished) {
  Arena& arena = *batch.arena;
  const Record& request = job.record;
  const bool ok = status == Status::kDone && answer.ckr == CKR_OK && answer.reason == Reason::kNone;
  if (status == Status::kDone && !ok &&
      (request.op == kDecrypt || answer.reason != Reason::kNone)) {
    // What a module wrote before it failed is no plaintext and no ciphertext of ours.
    Wipe(arena.bytes() + request.output_offset, request.output_capacity);
  }
  if ((request.flags & kWipeInput) != 0 && request.input_len != 0) {
    Wipe(arena.bytes() + request.input_offset, request.input_len);
  }
  Record& record = *arena.record(job.index);
  record.ckr = static_cast<std::uint32_t>(answer.ckr);
  record.output_len = ok ? answer.output_len : 0;
  record.status = static_cast<std::uint8_t>(status);
  record.reason = static_cast<std::uint8_t>(answer.reason);
  record.function = static_cast<std::uint8_t>(answer.function);
  record.result = job.result;
  const JobState before = job.state.exchange(JobState::kDone, std::memory_order_acq_rel);
  const Kind kind = before == JobState::kAbandoned ? Kind::kReleased : Kind::kCompleted;
  if (kind == Kind::kReleased) late_.fetch_add(1, std::memory_order_relaxed);
  if (status == Status::kNotSent) not_sent_.fetch_add(1, std::memory_order_relaxed);
  if (status == Status::kDone && !ok) failed_.fetch_add(1, std::memory_order_relaxed);
  if (!finished.empty()) {
    Finished& last = finished.back();
    if (last.kind == kind && last.arena.get() == &arena && last.first + last.count == job.index) {
      ++last.count;
      return;
    }
  }
  finished.push_back({batch.arena, job.index, 1, kind});
}

// mutex_ is held.
void Pool::FailQueued(Reason reason, CK_RV ckr, Function function) {
  std::vector<Finished> finished;
  const Answer answer{.ckr = ckr, .function = function, .reason = reason};
  for (std::size_t c = 0; c < kNumClasses; ++c) {
    for (const Range& range : queues_[c]) {
      for (std::uint32_t i = range.begin; i < range.end; ++i) {
        Job& job = range.batch->jobs[i];
        if (job.Take(JobState::kQueued, JobState::kRunning)) {
          Finish(*range.batch, job, answer, Status::kNotSent, finished);
        }
      }
    }
    queues_[c].clear();
    queued_[c] = 0;
  }
  next_deadline_ = 0;
  mailbox_->Post(std::move(finished));
}

// mutex_ is held. Takes the running job away from a worker, which becomes a zombie; one that has
// time at `now` it leaves, unless that is 0. Returns false if nothing was taken.
bool Pool::Abandon(Worker& worker, std::vector<Finished>& finished, std::uint32_t now) {
  if (!worker.busy || worker.zombie) return false;
  TakeFinished(worker, finished);
  Batch& batch = *worker.chunk.batch;
  Job& job = batch.jobs[worker.position.load()];
  // The worker may have gone on to a record that has time.
  if (now != 0 && (job.record.deadline == 0 || !HasCome(job.record.deadline, now))) return false;
  // Before the job is given up: a thread that ends it just then sees that, and begins no other one,
  // whose deadline nobody would watch.
  Steal(worker);
  // One that was cancelled is settled already. Exchanged, not read, so that its thread sees the
  // above as well.
  if (!GiveUp(batch, job, finished) && !job.Take(JobState::kAbandoned, JobState::kAbandoned)) {
    return false;
  }
  MakeZombie(worker);
  return true;
}

bool Pool::GiveUp(Batch& batch, Job& job, std::vector<Finished>& finished) {
  if (!job.Take(JobState::kRunning, JobState::kAbandoned)) return false;
  finished.push_back({batch.arena, job.index, 1, Kind::kTimedOut});
  timed_out_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

int Pool::Cancel(const Arena& arena, std::uint32_t index) {
  std::vector<Finished> finished;
  int found = 0;
  Lock lock(mutex_);
  const auto take_back = [&](const Range& range) {
    if (range.batch == nullptr || range.batch->arena.get() != &arena) return false;
    for (std::uint32_t i = range.begin; i < range.end; ++i) {
      Job& job = range.batch->jobs[i];
      if (job.index != index || !job.Take(JobState::kQueued, JobState::kRunning)) continue;
      const Answer answer{.reason = Reason::kCancelled};
      Finish(*range.batch, job, answer, Status::kNotSent, finished);
      return true;
    }
    return false;
  };
  for (const auto& queue : queues_) {
    if (found == 0 && std::any_of(queue.begin(), queue.end(), take_back)) found = 1;
  }
  for (const auto& each : workers_) {
    Worker& worker = *each;
    if (found != 0 || !worker.busy) continue;
    if (take_back(worker.chunk)) {
      found = 1;
      break;
    }
    // Read once: the thread may go on to the next one meanwhile.
    Job& job = worker.chunk.batch->jobs[worker.position.load()];
    if (worker.chunk.batch->arena.get() != &arena || job.index != index) continue;
    // The worker keeps its place: a call that nobody waits for is not one that hangs, and whoever
    // cancels often must not take the threads away. At its deadline it becomes a zombie.
    if (GiveUp(*worker.chunk.batch, job, finished)) {
      found = 2;
      Steal(worker);
    }
  }
  // Before the lock is given up, like every word on a record that may still be released.
  mailbox_->Post(std::move(finished));
  return found;
}

void Pool::ReleaseKey(std::uint32_t ref) {
  std::shared_ptr<Key> key;
  {
    Lock lock(mutex_);
    if (ref == 0 || ref > keys_.size()) return;
    key = std::move(keys_[ref - 1]);
    if (key == nullptr) return;
    released_keys_.push_back(key);
    if (!key->copied || state_ != State::kReady) return;
  }
  // A copy is a session object of the anchor; it would only take room.
  Run(0, false, [key](LaneTools& tools) {
    if (key->epoch == tools.epoch && key->copied.exchange(false)) DestroyCopy(tools, *key);
    return MakeValue();
  });
}

void Pool::ForgetCopies(const std::vector<CK_OBJECT_HANDLE>& destroyed) {
  Lock lock(mutex_);
  for (const auto* keys : {&keys_, &released_keys_}) {
    for (const auto& key : *keys) {
      if (key != nullptr && std::ranges::find(destroyed, key->handle.load()) != destroyed.end()) {
        key->copied = false;
      }
    }
  }
}

std::shared_ptr<Key> Pool::FindKey(std::uint32_t ref) {
  Lock lock(mutex_);
  return ref == 0 || ref > keys_.size() ? nullptr : keys_[ref - 1];
}

void Pool::SetLimits(Class job_class, Limits limits) {
  Lock lock(mutex_);
  bounds_[job_class] = limits;
  governors_[job_class].SetLimits(limits);
  if (serves_) WakeWorkers().Notify();
}

void Pool::Stats(double* into, std::size_t len) {
  Lock lock(mutex_);
  double values[64] = {};
  const std::uint32_t now = now_ms();
  std::uint32_t queued = 0;
  for (const std::uint32_t each : queued_) queued += each;
  values[0] = static_cast<double>(state_);
  values[1] = epoch_;
  values[2] = queued;
  values[3] = static_cast<double>(bytes_in_flight_);
  values[4] = num_busy_;
  values[5] = num_zombies_;
  values[6] = num_sessions_;
  values[7] = num_threads_;
  values[8] = max_workers_;
  values[9] = static_cast<double>(submitted_);
  values[10] = static_cast<double>(submitted_ - records_in_flight_);
  values[11] = static_cast<double>(failed_);
  values[12] = static_cast<double>(not_sent_);
  values[13] = static_cast<double>(timed_out_);
  values[14] = static_cast<double>(late_);
  values[15] = static_cast<double>(retries_);
  values[16] = static_cast<double>(replaced_);
  values[17] = static_cast<double>(recoveries_);
  values[18] = static_cast<double>(logins_);
  values[19] = static_cast<double>(bytes_in_);
  values[20] = static_cast<double>(bytes_out_);
  std::uint32_t oldest = 0;
  for (const auto& queue : queues_) {
    if (!queue.empty()) oldest = std::max(oldest, now - queue.front().batch->submitted_ms);
  }
  values[21] = oldest;
  for (std::size_t c = 0; c < kNumClasses; ++c) {
    values[24 + c] = governors_[c].limit();
    values[28 + c] = active_[c];
    values[32 + c] = queued_[c];
    values[36 + c] = governors_[c].service_us();
  }
  for (std::size_t i = 0; i < 16; ++i) values[40 + i] = static_cast<double>(histogram_[i]);
  std::memcpy(into, values, std::min(len, std::size(values)) * sizeof(double));
}

}  // namespace keyplane
