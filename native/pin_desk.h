// Where threads ask for a PIN and JavaScript brings one. PINs are kept no longer than the login.

#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>

#include "secret_bytes.h"

namespace keyplane {

struct Pin {
  bool refused = true;
  // No bytes: the token asks for the PIN itself (CKF_PROTECTED_AUTHENTICATION_PATH).
  bool none = false;
  SecretBytes bytes;
};

class PinDesk {
 public:
  // Waits until Provide or Close. `ask` is called unless a question is open already. Returns null
  // when nobody answered.
  std::shared_ptr<Pin> Ask(const std::function<void()>& ask);
  void Provide(Pin pin);
  void Close();

 private:
  // Shared by those who wait for its answer, which goes with the last of them.
  struct Question {
    std::shared_ptr<Pin> answer;
    int num_waiting = 0;
  };

  std::mutex mutex_;
  std::condition_variable answered_;
  bool closed_ = false;
  // The one that JavaScript was asked and has not answered.
  std::shared_ptr<Question> open_;
};

}  // namespace keyplane
