// From nothing, or from a lost session, login or token, to a new login epoch. Runs on the lane.

#include <sys/random.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "clock.h"
#include "cryptoki.h"
#include "objects.h"
#include "pool.h"
#include "values.h"

namespace keyplane {
namespace {

// How long calls may take to end before their jobs are taken from them.
constexpr auto kQuiesce = std::chrono::milliseconds(1'000);
constexpr int kMaxInitializations = 3;

// Says that the lane was given up, so that nothing it finds counts.
class LaneAbandoned {};

// A login that was refused: trying again could lock the token.
class LoginRefused : public ModuleError {
 public:
  using ModuleError::ModuleError;
};

bool IsRefusal(CK_RV ckr) {
  switch (ckr) {
    case CKR_PIN_INCORRECT:
    case CKR_PIN_INVALID:
    case CKR_PIN_LEN_RANGE:
    case CKR_PIN_EXPIRED:
    case CKR_PIN_LOCKED:
    case CKR_USER_PIN_NOT_INITIALIZED:
    case CKR_USER_ANOTHER_ALREADY_LOGGED_IN:
    case CKR_USER_TYPE_INVALID:
    case CKR_USER_TOO_MANY_TYPES:
      return true;
    default:
      return false;
  }
}

// Processes that start together collide less if they wait differently long.
void Jitter() {
  std::uint8_t random = 0;
  if (getrandom(&random, 1, 0) != 1) random = 128;
  std::this_thread::sleep_for(std::chrono::milliseconds(20 + random / 3));
}

Function FunctionOf(const ModuleError& error) {
  for (std::size_t i = 0; i < kFunctionNames.size(); ++i) {
    if (kFunctionNames[i] == error.function()) return static_cast<Function>(i);
  }
  return Function::kNone;
}

}  // namespace

// Call after each step: a lane that was given up must not change the pool.
void Pool::StillOurs(Lane& lane) {
  Lock lock(mutex_);
  if (lane.abandoned) throw LaneAbandoned();
}

void Pool::RunRecovery(Lane& lane) {
  bool opening = false;
  {
    Lock lock(mutex_);
    if (lane.abandoned) return;
    opening = !token_;
    serves_ = false;
    if (state_ >= State::kClosing) return;
    state_ = opening ? State::kOpening : State::kRecovering;
  }
  if (!opening) {
    ++recoveries_;
    mailbox_->Post({Event::kRecoveryStarted, static_cast<double>(cause_ckr_),
                    static_cast<double>(cause_function_)});
  }
  try {
    Quiesce(lane);
    const InModule inside(*lane.mark);
    if (use_ == nullptr) OpenModule(lane);
    StillOurs(lane);
    Module& module = use_->module();
    const auto serial = module.LockSerial();
    const std::uint32_t deadline = now_ms() + options_.discover_ms;
    for (;;) {
      try {
        Connect(lane, opening);
        break;
      } catch (const LoginRefused& error) {
        // SoftHSM answers this while another process creates the token (its issues 358, 757).
        if (!opening || error.ckr() != CKR_USER_PIN_NOT_INITIALIZED || HasCome(deadline, now_ms()))
          throw;
      } catch (const ModuleError& error) {
        if (!opening || HasCome(deadline, now_ms()) || error.reason() == "token-ambiguous") throw;
        if (error.reason().empty() && error.ckr() != CKR_GENERAL_ERROR) throw;
      }
      StillOurs(lane);
      Jitter();
      // Modules look for tokens when they are initialised.
      if (!AnyoneHangs()) module.Reinitialize(module.generation(), true);
    }
  } catch (const LaneAbandoned&) {
    return;
  } catch (const LoginRefused& error) {
    Lock lock(mutex_);
    Refuse(lane, State::kLocked, error);
  } catch (const ModuleError& error) {
    Lock lock(mutex_);
    Refuse(lane, State::kLost, error);
  } catch (const std::exception& error) {
    Lock lock(mutex_);
    Refuse(lane, State::kLost, ModuleError(error.what()));
  }
}

// Waits until no thread is in a call, be it one about its session: the module may be finalised
// next. Those that hang become zombies, and their jobs are lost to them.
void Pool::Quiesce(Lane& lane) {
  Lock lock(mutex_);
  const auto quiet = [&] {
    return (num_busy_ == 0 && num_in_session_calls_ == 0) || lane.abandoned || stop_;
  };
  if (!quiet_.wait_for(lock, kQuiesce, quiet)) {
    std::vector<Finished> finished;
    while (!quiet()) {
      for (const auto& worker : workers_) {
        if (worker->in_session_call && !worker->zombie) MakeZombie(*worker);
        Abandon(*worker, finished);
      }
      mailbox_->Post(std::exchange(finished, {}));
      quiet_.wait_for(lock, std::chrono::milliseconds(1), quiet);
    }
  }
  if (lane.abandoned || stop_) throw LaneAbandoned();
}

// Tells whether a thread may be in the module, perhaps for good: then it must not be finalised.
bool Pool::AnyoneHangs() {
  Lock lock(mutex_);
  return num_zombies_ != 0 || num_in_session_calls_ != 0 || num_lanes_ > 1;
}

void Pool::OpenModule(Lane& lane) {
  // Before the lock, so that one that is not wanted any more is given back without it.
  auto use = std::make_unique<ModuleUse>(options_.library, options_.module);
  use->StayLoaded();
  Lock lock(mutex_);
  if (lane.abandoned) throw LaneAbandoned();
  use_ = std::move(use);
  generation_ = use_->module().generation();
}

// Tells whether the anchor session is there, and whether it is logged in. Throws when the token is
// not.
bool Pool::AnchorLives(bool& logged_in) {
  logged_in = false;
  if (!anchor_open_ || use_->module().generation() != generation_) return false;
  const CK_FUNCTION_LIST& functions = *use_->module().functions();
  CK_SESSION_INFO session{};
  const CK_RV ckr = functions.C_GetSessionInfo(anchor_, &session);
  if (ckr == CKR_SESSION_HANDLE_INVALID || ckr == CKR_SESSION_CLOSED ||
      ckr == CKR_CRYPTOKI_NOT_INITIALIZED) {
    return false;
  }
  Check("C_GetSessionInfo", ckr);
  if (session.slotID != token_->token.slot_id) return false;
  CK_TOKEN_INFO token{};
  Check("C_GetTokenInfo", functions.C_GetTokenInfo(session.slotID, &token));
  logged_in = IsUserState(session.state);
  return true;
}

void Pool::Connect(Lane& lane, bool opening) {
  const std::uint32_t epoch = epoch_ + 1;
  bool logged_in = false;
  const bool lives = AnchorLives(logged_in);
  StillOurs(lane);
  if (!lives) {
    {
      Lock lock(mutex_);
      if (lane.abandoned) throw LaneAbandoned();
      // Their numbers may soon be those of other sessions, so nobody closes them either.
      session_floor_ = epoch;
      num_sessions_ = 0;
      anchor_open_ = false;
    }
    FindToken(lane, opening);
  }
  const CK_SESSION_HANDLE session = OpenAnchor(lane);
  const CK_FUNCTION_LIST& functions = *use_->module().functions();
  CK_SESSION_INFO info{};
  Check("C_GetSessionInfo", functions.C_GetSessionInfo(session, &info));
  StillOurs(lane);
  if (login_required_ && !IsUserState(info.state)) LogIn(lane, session);
  FindKeys(lane, session, epoch);
  Begin(lane, epoch);
}

void Pool::FindToken(Lane& lane, bool opening) {
  Module& module = use_->module();
  for (int attempt = 0;; ++attempt) {
    const std::uint32_t generation = module.generation();
    try {
      const CK_FUNCTION_LIST& functions = *module.functions();
      std::vector<TokenInfo> matching;
      for (TokenInfo& token : ReadTokens(functions)) {
        if (options_.token.Matches(token)) matching.push_back(std::move(token));
      }
      if (matching.empty()) throw ModuleError("No token is as asked for", "token-not-found");
      if (matching.size() > 1) {
        throw ModuleError("More than one token is as asked for", "token-ambiguous");
      }
      const ModuleInfo info = ReadModule(functions);
      Lock lock(mutex_);
      if (lane.abandoned) throw LaneAbandoned();
      login_required_ = (matching.front().flags & CKF_LOGIN_REQUIRED) != 0;
      token_ = PoolToken{std::move(matching.front()), functions.version, info.manufacturer,
                         module.functions3() != nullptr};
      generation_ = generation;
      return;
    } catch (const ModuleError& error) {
      StillOurs(lane);
      const bool finalized = error.ckr() == CKR_CRYPTOKI_NOT_INITIALIZED;
      if (finalized && attempt < kMaxInitializations) {
        // Somebody finalised the module under us (or never initialised it): now it is ours.
        module.Reinitialize(generation, false);
        continue;
      }
      // A token that came back may show only after that.
      if (error.reason() == "token-not-found" && !opening && attempt == 0 && !AnyoneHangs() &&
          module.Reinitialize(generation, true)) {
        continue;
      }
      throw;
    }
  }
}

// A new one each time: with the old one go the session copies of the last epoch.
CK_SESSION_HANDLE Pool::OpenAnchor(Lane& lane) {
  const CK_FUNCTION_LIST& functions = *use_->module().functions();
  CK_SLOT_ID slot_id = 0;
  {
    Lock lock(mutex_);
    slot_id = token_->token.slot_id;
  }
  CK_SESSION_HANDLE session = 0;
  CK_RV ckr = functions.C_OpenSession(slot_id, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr,
                                      nullptr, &session);
  if (ckr == CKR_TOKEN_WRITE_PROTECTED) {
    ckr = functions.C_OpenSession(slot_id, CKF_SERIAL_SESSION, nullptr, nullptr, &session);
  }
  CK_SESSION_HANDLE old = 0;
  bool close_old = false;
  {
    Lock lock(mutex_);
    if (lane.abandoned) {
      lock.unlock();
      if (ckr == CKR_OK) functions.C_CloseSession(session);
      throw LaneAbandoned();
    }
    // At the limit of sessions the old one serves on.
    if (ckr == CKR_SESSION_COUNT && anchor_open_) return anchor_;
    Check("C_OpenSession", ckr);
    close_old = anchor_open_;
    old = anchor_;
    anchor_ = session;
    anchor_open_ = true;
    if (!close_old) ++num_sessions_;
  }
  if (close_old) functions.C_CloseSession(old);
  return session;
}

void Pool::LogIn(Lane& lane, CK_SESSION_HANDLE session) {
  // Waiting for a person is no hanging call, and no stay in the module.
  lane.since_ms = 0;
  lane.mark->Leave();
  const std::shared_ptr<Pin> pin = pins_.Ask([this] { mailbox_->Post({Event::kPinNeeded, 0, 0}); });
  lane.mark->Enter();
  {
    Lock lock(mutex_);
    Watch(lane);
  }
  StillOurs(lane);
  if (pin == nullptr || pin->refused) {
    throw LoginRefused("Nobody gave the PIN of the token", "locked");
  }
  const CK_RV ckr = use_->module().functions()->C_Login(
      session, CKU_USER, pin->none ? nullptr : pin->bytes.data(), pin->bytes.size());
  StillOurs(lane);
  if (IsRefusal(ckr)) throw LoginRefused("C_Login", ckr);
  if (ckr != CKR_USER_ALREADY_LOGGED_IN) Check("C_Login", ckr);
  ++logins_;
}

void Pool::FindKeys(Lane& lane, CK_SESSION_HANDLE session, std::uint32_t epoch) {
  std::vector<std::shared_ptr<Key>> keys;
  CK_SLOT_ID slot_id = 0;
  {
    Lock lock(mutex_);
    keys = keys_;
    slot_id = token_->token.slot_id;
  }
  Module& module = use_->module();
  LaneTools tools{*module.functions(), module, session, slot_id, epoch};
  for (const auto& key : keys) {
    if (key == nullptr) continue;
    std::optional<FoundKey> found;
    try {
      found = LoadKey(tools, *key);
    } catch (const ModuleError& error) {
      if (error.reason().empty()) throw;
    }
    Lock lock(mutex_);
    if (lane.abandoned) throw LaneAbandoned();
    if (found) {
      found->WriteTo(*key);
    } else {
      // A copy went with the last epoch.
      key->copied = false;
      if (!key->lost) mailbox_->Post({Event::kKeyLost, static_cast<double>(key->ref), 0});
    }
    key->epoch = epoch;
    key->lost = !found;
  }
}

void Pool::Begin(Lane& lane, std::uint32_t epoch) {
  Lock lock(mutex_);
  if (lane.abandoned) throw LaneAbandoned();
  epoch_ = epoch;
  const bool opened = state_ == State::kOpening;
  const bool closing = state_ >= State::kClosing;
  if (!closing) state_ = State::kReady;
  serves_ = true;
  refusal_ckr_ = CKR_OK;
  refusal_function_ = Function::kNone;
  no_new_sessions_until_ = 0;
  max_workers_ = options_.max_sessions;
  if (!opened) mailbox_->Post({Event::kRecovered, static_cast<double>(epoch), 0});
  for (const Waiting& waiting : std::exchange(waiting_, {})) {
    if (waiting.opens) {
      Fulfil(waiting.task, [token = *token_](napi_env env) { return ToPoolToken(env, token); });
    } else {
      Fulfil(waiting.task, nullptr);
    }
  }
  if (opened) {
    for (std::uint32_t i = 0; i < options_.min_sessions; ++i) StartWorker();
  }
  WakeWorkers().Notify();
}

// mutex_ is held. Nothing waits for a token that is not there: what is queued fails at once.
void Pool::Refuse(Lane& lane, State state, const ModuleError& error) {
  if (lane.abandoned || state_ >= State::kClosing) return;
  state_ = state;
  serves_ = false;
  refusal_ckr_ = error.ckr().value_or(CKR_OK);
  refusal_function_ = FunctionOf(error);
  mailbox_->Post({Event::kRecoveryFailed, static_cast<double>(refusal_ckr_),
                  static_cast<double>(refusal_function_)});
  FailQueued(state == State::kLost ? Reason::kLost : Reason::kLocked, refusal_ckr_,
             refusal_function_);
  for (const Waiting& waiting : std::exchange(waiting_, {})) {
    Failure failure = ToFailure(error);
    if (failure.reason.empty()) failure.reason = state == State::kLost ? "lost" : "locked";
    Reject(waiting.task, std::move(failure));
  }
}

}  // namespace keyplane
