// The sessions of the threads: opened, replaced and closed, and what their failures mean.

#include <algorithm>
#include <utility>

#include "cryptoki.h"
#include "pool.h"

namespace keyplane {
namespace {

constexpr std::uint32_t kMaxOpenFailures = 3;
// A handle that is invalid again so soon after a recovery found it is not mended by another one.
constexpr std::uint32_t kDoubtMs = 5'000;

}  // namespace

bool Pool::OpenSession(Session& session, CK_RV& ckr, Function& function) {
  CK_SLOT_ID slot_id = 0;
  std::uint32_t epoch = 0;
  {
    Lock lock(mutex_);
    slot_id = token_->token.slot_id;
    epoch = epoch_;
  }
  Module& module = use_->module();
  const auto serial = module.LockSerial();
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
  Lock lock(mutex_);
  if (Counts(session)) ++num_sessions_;
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

// mutex_ is held. Sessions of an epoch that is over went with it, and were counted out together.
bool Pool::Counts(const Session& session) const { return session.epoch >= session_floor_; }

void Pool::DropSession(Session& session) {
  if (!session.open) return;
  session.open = false;
  {
    Lock lock(mutex_);
    if (!Counts(session)) return;
    --num_sessions_;
  }
  const auto serial = use_->module().LockSerial();
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
  const auto serial = use_->module().LockSerial();
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
  const auto serial = use_->module().LockSerial();
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
    const std::uint32_t num_able = num_others > num_zombies_ ? num_others - num_zombies_ : 1;
    max_workers_ = std::min(options_.max_sessions, num_able);
    mailbox_->Post({Event::kSessionLimit, static_cast<double>(max_workers_), 0});
  } else {
    no_new_sessions_until_ = std::max(1U, now_ms() + kNewSessionsPauseMs);
  }
  // Others that hang serve nobody.
  if (num_threads_ - num_zombies_ > 1) {
    worker.retire = true;
    return;
  }
  if (Judge(ckr) == Next::kRecover) {
    WantRecoveryLocked(ckr, function);
    // There is none any more at the end.
    if (state_ != State::kClosing) return;
  }
  if (++worker.num_failures < kMaxOpenFailures) return;
  worker.num_failures = 0;
  FailQueued(Reason::kSession, ckr, function);
}

}  // namespace keyplane
