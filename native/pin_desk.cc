#include "pin_desk.h"

#include <chrono>
#include <utility>

namespace keyplane {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);

}  // namespace

std::shared_ptr<Pin> PinDesk::Ask(const std::function<void()>& ask) {
  std::unique_lock lock(mutex_);
  if (closed_) return nullptr;
  if (open_ == nullptr) {
    open_ = std::make_shared<Question>();
    ask();
  }
  const std::shared_ptr<Question> question = open_;
  ++question->num_waiting;
  answered_.wait_for(lock, kPatience, [&] { return closed_ || question->answer != nullptr; });
  // Nobody answers, and nobody waits any more: the next one asks again.
  if (--question->num_waiting == 0 && open_ == question) open_.reset();
  return question->answer;
}

void PinDesk::Provide(Pin pin) {
  std::lock_guard lock(mutex_);
  if (open_ == nullptr) return;
  open_->answer = std::make_shared<Pin>(std::move(pin));
  open_.reset();
  answered_.notify_all();
}

void PinDesk::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  answered_.notify_all();
}

}  // namespace keyplane
