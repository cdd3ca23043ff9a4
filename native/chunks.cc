// What a thread does with the records that it has claimed.

#include <sys/random.h>

#include <chrono>
#include <thread>
#include <utility>

#include "clock.h"
#include "cryptoki.h"
#include "pool.h"

namespace keyplane {
namespace {

// A chunk that takes longer than it should goes back to the queue.
constexpr std::uint32_t kLongChunkMs = 8;
// A thread replaces its session at most once in this time.
constexpr std::uint32_t kReplacePauseMs = 20;

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

// Answers a question that asks the module.
template <typename Hand, typename Question>
bool AskLent(std::atomic<Hand>& hand, Question question) {
  const Lent lent(hand);
  return question();
}

bool TakesFreshIv(const Record& record) {
  return record.op == kEncrypt && record.mechanism == CKM_AES_GCM &&
         (record.iv_mode == kHostIv || record.iv_mode == kMessageHostIv) &&
         (record.flags & kFixedIv) == 0;
}

}  // namespace

ChunkDone Pool::RunChunk(Worker& worker, Tools& tools, const Range& chunk) {
  Batch& batch = *chunk.batch;
  const std::uint32_t started = now_ms();
  const bool samples_cpu = SamplesCpu(worker.job_class, started);
  const std::uint64_t cpu_before = samples_cpu ? ThreadCpuNs() : 0;
  const std::uint64_t before = NowNs();
  ChunkDone done{.rest = {chunk.batch, chunk.end, chunk.end}};
  for (std::uint32_t i = chunk.begin; i < chunk.end; ++i) {
    // The first one is never stolen: the position says that it has begun.
    if (i != chunk.begin && worker.stolen.load(std::memory_order_acquire)) break;
    const std::uint32_t now = i == chunk.begin ? started : now_ms();
    const bool stops = now - started > kLongChunkMs || stop_now_.load(std::memory_order_relaxed);
    if (i != chunk.begin && stops) {
      done.rest.begin = i;
      break;
    }
    worker.position.store(i, std::memory_order_release);
    worker.since_ms.store(now, std::memory_order_relaxed);
    Job& job = batch.jobs[i];
    if (!job.Take(JobState::kQueued, JobState::kRunning)) continue;
    ++done.num_run;
    if (!RunOne(worker, tools, batch, job)) {
      done.rest.begin = i + 1;
      break;
    }
  }
  done.wall_ns = NowNs() - before;
  if (samples_cpu) done.cpu_ns = ThreadCpuNs() - cpu_before;
  bytes_in_.fetch_add(std::exchange(worker.bytes_in, 0), std::memory_order_relaxed);
  bytes_out_.fetch_add(std::exchange(worker.bytes_out, 0), std::memory_order_relaxed);
  return done;
}

// Asking for the time on the core takes longer than a record of some modules.
bool Pool::SamplesCpu(Class job_class, std::uint32_t now) {
  std::uint32_t last = cpu_sampled_ms_[job_class].load(std::memory_order_relaxed);
  return last != now &&
         cpu_sampled_ms_[job_class].compare_exchange_strong(last, now, std::memory_order_relaxed);
}

bool Pool::RunOne(Worker& worker, Tools& tools, Batch& batch, Job& job) {
  std::vector<Finished>& finished = worker.finished;
  const auto index = static_cast<std::uint32_t>(&job - batch.jobs.get());
  const std::uint32_t begun_ms = worker.since_ms.load(std::memory_order_relaxed);
  if (job.record.deadline != 0 && HasCome(job.record.deadline, begun_ms)) {
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
      const auto serial = tools.module.LockSerial();
      answer = RunJob(tools, session, job, *batch.arena);
    }
    if (answer.next == Next::kRecover &&
        AskLent(worker.hand, [&] { return SessionIsAlone(answer.ckr); })) {
      // The number of a session that is gone is not ours to close.
      session.open = false;
      {
        Lock lock(mutex_);
        if (Counts(session)) --num_sessions_;
      }
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
        if (key != nullptr &&
            AskLent(worker.hand, [&] { return IsUnusable(*key, session, answer.ckr); })) {
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
      const Lent lent(worker.hand);
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

}  // namespace keyplane
