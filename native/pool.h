// One token with its threads, sessions, keys and login.
//
// Threads: the JavaScript thread submits and takes mail; workers, each with one session, run
// records; the lane runs what changes state (login, key lookup, key generation), one task at a
// time, on the anchor session; the monitor sees to deadlines and to calls that hang; the closer
// waits for the end. A thread whose call hangs past its deadline is a zombie: it is left alone
// until the call returns, and another one takes its place.
//
// Login epochs: a lost session, login or handle starts a recovery on the lane. It stops the
// workers, finds the token, logs in, finds every key again and begins a new epoch. Handles of an
// earlier epoch are never used. Anchor: the session that is open as long as the pool, since a login
// ends with the last session of the process.
//
// The pool outlives its JavaScript object while threads are in the module.

#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "error.h"
#include "exit.h"
#include "governor.h"
#include "job.h"
#include "mailbox.h"
#include "module.h"
#include "operation.h"
#include "pin_desk.h"
#include "pool_options.h"
#include "worker.h"

namespace keyplane {

// A failure as JavaScript sees it.
struct Failure {
  std::string message;
  std::optional<CK_RV> ckr;
  std::string function;
  std::string reason;
};

Failure ToFailure(const ModuleError& error);

// What open() tells.
struct PoolToken {
  TokenInfo token;
  CK_VERSION cryptoki_version;
  std::string module_manufacturer;
  bool message_api;
};

// Makes the JavaScript value of a finished task; runs on the JavaScript thread.
using MakeValue = std::function<napi_value(napi_env env)>;

// What a task of the lane has to work with.
struct LaneTools {
  const CK_FUNCTION_LIST& functions;
  Module& module;
  CK_SESSION_HANDLE session;
  CK_SLOT_ID slot_id;
  std::uint32_t epoch;
};

class Pool : public std::enable_shared_from_this<Pool> {
 public:
  Pool(PoolOptions options, std::shared_ptr<Mailbox> mailbox);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool();

  // On the JavaScript thread. Nothing here waits for a module.

  void Open(std::uint32_t task);
  void Recover(std::uint32_t task);
  void Close(std::uint32_t task, std::uint32_t drain_ms);
  // Ends without a word to JavaScript: its environment is gone.
  void Abandon();
  void Resolve(std::uint32_t task, KeyQuery query, std::vector<CK_ATTRIBUTE_TYPE> attributes);
  // A task that needs the login; `repeatable` if it may run again after a recovery.
  using Work = std::function<MakeValue(LaneTools& tools)>;
  void Run(std::uint32_t task, bool repeatable, Work work);

  Submitted Submit(const std::shared_ptr<Arena>& arena, std::uint32_t first, std::uint32_t count);
  // Returns 0 not in flight, 1 taken back, 2 running.
  int Cancel(const Arena& arena, std::uint32_t index);
  // Gives back what a finished range held.
  void Settle(const Finished& finished);
  void ReleaseKey(std::uint32_t ref);
  // On the lane: these handles may soon be those of other objects.
  void ForgetCopies(const std::vector<CK_OBJECT_HANDLE>& destroyed);
  // Returns null for a ref that is not one.
  std::shared_ptr<Key> FindKey(std::uint32_t ref);
  void SetLimits(Class job_class, Limits limits);
  void Stats(double* into, std::size_t len);
  PinDesk& pins() { return pins_; }
  State state();
  // Milliseconds of the pool's clock, and their low 32 bits as records have them, which are never
  // 0.
  std::uint64_t clock_ms() const;
  std::uint32_t now_ms() const;

 private:
  struct Task {
    // 0 when nobody waits for the end.
    std::uint32_t id;
    bool repeatable;
    Work work;
  };

  // A thread of the lane; one that hangs is abandoned and another one starts.
  struct Lane {
    std::condition_variable wake;
    std::deque<Task> tasks;
    bool abandoned = false;
    bool stop = false;
    bool recovering = false;
    std::optional<std::uint32_t> task;
    // 0 while it has nothing to do or waits for a PIN.
    std::atomic<std::uint32_t> since_ms = 0;
    ThreadMark* mark = nullptr;
  };

  using Lock = std::unique_lock<std::mutex>;

  // workers.cc: threads, and who of them claims what.
  void RunWorker(const std::shared_ptr<Worker>& self);
  void Park(Lock& lock, const std::shared_ptr<Worker>& self);
  Range Claim(Worker& worker);
  void EndChunk(Worker& worker, ChunkDone done);
  bool MayHold(const Worker& worker) const;
  bool Put(Worker& worker);
  bool Tell(Lock& lock, Worker& worker);
  void ZombieReturned();
  // Threads of a class that count.
  std::uint32_t AtWork(std::size_t job_class) const {
    return active_[job_class] - stuck_[job_class];
  }
  std::uint32_t Room(std::size_t job_class) const;
  std::uint32_t Demand() const;
  [[nodiscard]] Woken WakeWorkers();
  // Returns null when there is none, or nothing for it to do.
  [[nodiscard]] std::shared_ptr<Worker> WakeOneWithSession();
  bool HasSession(const Worker& worker) const;
  bool StartWorker();
  // Around what a thread does with its session alone. The mutex is free in between.
  void BeginSessionCall(Worker& worker);
  void EndSessionCall(Worker& worker);
  Class Claimable() const;
  std::uint32_t ChunkLen(Class job_class) const;
  std::uint32_t ThreadCap() const;

  // chunks.cc: what a thread does with what it has claimed.
  ChunkDone RunChunk(Worker& worker, Tools& tools, const Range& chunk);
  bool SamplesCpu(Class job_class, std::uint32_t now);
  // Returns false if the chunk ends here.
  bool RunOne(Worker& worker, Tools& tools, Batch& batch, Job& job);
  // Sends a job back to the front of the queue, to run after a recovery.
  bool RunLater(const Range& job_range, const Answer& answer, std::vector<Finished>& finished);

  // sessions.cc
  bool OpenSession(Session& session, CK_RV& ckr, Function& function);
  bool ReplaceSession(Session& session, CK_RV& ckr, Function& function);
  void DropSession(Session& session);
  bool Counts(const Session& session) const;
  bool SessionIsAlone(CK_RV ckr);
  bool IsUnusable(Key& key, const Session& session, CK_RV ckr);
  void Opened(Worker& worker);
  void OpenFailed(Lock& lock, Worker& worker, CK_RV ckr, Function function);

  // pool.cc: the queue.
  void Requeue(Range range);
  void Finish(Batch& batch, Job& job, const Answer& answer, Status status,
              std::vector<Finished>& finished);
  void FailQueued(Reason reason, CK_RV ckr, Function function);
  bool GiveUp(Batch& batch, Job& job, std::vector<Finished>& finished);
  bool Abandon(Worker& worker, std::vector<Finished>& finished, std::uint32_t now = 0);
  void NoteDeadline(std::uint32_t deadline);

  // monitor.cc: deadlines, hanging calls, the governors.
  void RunMonitor();
  void WakeMonitor();
  void ExpireQueued(std::uint32_t now, std::vector<Finished>& finished);
  void WatchWorkers(std::uint32_t now, std::vector<Finished>& finished);
  void Steal(Worker& worker);
  void TakeFinished(Worker& worker, std::vector<Finished>& finished);
  void MakeZombie(Worker& worker);
  void WatchLane(std::uint32_t now);
  void WatchCloser(Lock& lock);

  // lane.cc: tasks.
  void AddTask(Task task);
  void AddTaskLocked(Task task);
  // Returns false if there is none and the system has no thread for one.
  bool StartLane();
  void Watch(Lane& lane);
  void RunLane(const std::shared_ptr<Lane>& lane);
  void RunTask(Lane& lane, Task task);
  std::shared_ptr<KeyUse> UseOf(const Key& key);
  void WantRecovery(CK_RV ckr, Function function);
  void WantRecoveryLocked(CK_RV ckr, Function function);

  // recovery.cc: the login and what hangs on it.
  void RunRecovery(Lane& lane);
  void Quiesce(Lane& lane);
  bool AnyoneHangs();
  void Connect(Lane& lane, bool opening);
  void FindToken(Lane& lane, bool opening);
  void OpenModule(Lane& lane);
  bool AnchorLives(bool& logged_in);
  CK_SESSION_HANDLE OpenAnchor(Lane& lane);
  void LogIn(Lane& lane, CK_SESSION_HANDLE session);
  void FindKeys(Lane& lane, CK_SESSION_HANDLE session, std::uint32_t epoch);
  void Begin(Lane& lane, std::uint32_t epoch);
  void Refuse(Lane& lane, State state, const ModuleError& error);
  void StillOurs(Lane& lane);

  // close.cc
  void EndUnopened();
  bool StartCloser();
  void RunCloser();
  void CloseNow(std::uint32_t drain_ms);
  void AbandonAll(Lock& lock);
  void Reject(std::uint32_t task, Failure failure);
  void Fulfil(std::uint32_t task, MakeValue make);
  Failure RefusalNow() const;

  // Runs a function on a thread of its own, which keeps the pool alive. Returns false when the
  // system has no thread left.
  bool StartThread(std::function<void()> body);

  const PoolOptions options_;
  const std::shared_ptr<Mailbox> mailbox_;
  const std::uint64_t started_ns_;
  PinDesk pins_;

  std::mutex mutex_;
  State state_ = State::kNew;
  // Workers may take jobs: ready, or closing and draining.
  bool serves_ = false;
  std::atomic<bool> login_required_ = false;
  CK_RV refusal_ckr_ = CKR_OK;
  Function refusal_function_ = Function::kNone;
  bool stop_ = false;
  std::atomic<bool> stop_now_ = false;
  std::unique_ptr<ModuleUse> use_;
  std::optional<PoolToken> token_;
  std::uint32_t generation_ = 0;
  std::atomic<std::uint32_t> epoch_ = 0;
  // Sessions of epochs before this one are gone, and their numbers may be someone else's.
  std::uint32_t session_floor_ = 0;
  CK_SESSION_HANDLE anchor_ = 0;
  bool anchor_open_ = false;
  std::atomic<bool> short_gcm_ = false;

  std::deque<Range> queues_[kNumClasses];
  std::uint32_t queued_[kNumClasses] = {};
  // Threads at work, and those of them that are stuck.
  std::uint32_t active_[kNumClasses] = {};
  std::uint32_t stuck_[kNumClasses] = {};
  Governor governors_[kNumClasses];
  Limits bounds_[kNumClasses];
  // When the time on the core was last measured.
  std::atomic<std::uint32_t> cpu_sampled_ms_[kNumClasses] = {};
  std::uint32_t next_class_ = 0;
  std::list<std::shared_ptr<Worker>> workers_;
  std::vector<std::shared_ptr<Worker>> idle_;
  std::uint32_t num_threads_ = 0;
  // Woken or started, and not at work yet.
  std::uint32_t num_waking_ = 0;
  std::uint32_t num_zombies_ = 0;
  std::uint32_t num_busy_ = 0;
  // Threads in calls about their sessions, without zombies.
  std::uint32_t num_in_session_calls_ = 0;
  std::atomic<std::uint32_t> num_sessions_ = 0;
  std::uint32_t max_workers_;
  static constexpr std::uint32_t kNewSessionsPauseMs = 1'000;
  // 0: they may be opened now.
  std::uint32_t no_new_sessions_until_ = 0;
  std::uint32_t next_deadline_ = 0;
  std::condition_variable quiet_;

  std::shared_ptr<Lane> lane_;
  // Threads of lanes, of those given up too.
  std::uint32_t num_lanes_ = 0;
  // Promises of open and recover, which the next end of a recovery settles, and of close.
  struct Waiting {
    std::uint32_t task;
    bool opens;
  };
  std::vector<Waiting> waiting_;
  std::vector<std::uint32_t> closing_;
  bool closer_runs_ = false;
  // It is about to go into the module, last of all.
  bool closer_leaves_ = false;
  std::condition_variable closer_wake_;
  std::uint32_t drain_ms_ = 0;
  bool recovery_wanted_ = false;
  CK_RV cause_ckr_ = CKR_OK;
  Function cause_function_ = Function::kNone;
  std::uint32_t last_recovery_ms_ = 0;
  std::uint32_t recovery_pause_ms_ = 0;
  std::atomic<bool> worked_ = false;

  bool monitor_runs_ = false;
  bool monitor_sleeps_ = false;
  std::condition_variable monitor_wake_;

  // Keys by ref - 1. Released ones stay until nothing is in flight, since jobs point to them.
  std::vector<std::shared_ptr<Key>> keys_;
  std::vector<std::shared_ptr<Key>> released_keys_;
  // By class and CKA_ID. Those of released keys stay, up to a number of them.
  std::map<std::tuple<CK_OBJECT_CLASS, bool, std::vector<std::uint8_t>>, std::shared_ptr<KeyUse>>
      uses_;

  // JavaScript thread alone.
  std::uint64_t records_in_flight_ = 0;
  std::uint64_t bytes_in_flight_ = 0;

  std::atomic<std::uint64_t> submitted_ = 0;
  std::atomic<std::uint64_t> settled_ = 0;
  std::atomic<std::uint64_t> failed_ = 0;
  std::atomic<std::uint64_t> not_sent_ = 0;
  std::atomic<std::uint64_t> timed_out_ = 0;
  std::atomic<std::uint64_t> late_ = 0;
  std::atomic<std::uint64_t> retries_ = 0;
  std::atomic<std::uint64_t> replaced_ = 0;
  std::atomic<std::uint64_t> recoveries_ = 0;
  std::atomic<std::uint64_t> logins_ = 0;
  std::atomic<std::uint64_t> bytes_in_ = 0;
  std::atomic<std::uint64_t> bytes_out_ = 0;
  std::uint64_t histogram_[16] = {};
};

}  // namespace keyplane
