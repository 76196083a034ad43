// Makes the keeper's blind RSA keys off its loop: each takes half a second.
#pragma once

#include <poll.h>
#include <pthread.h>

#include <condition_variable>
#include <mutex>
#include <vector>

#include "ring/ring_file.hpp"  // Fd
#include "token/issuer.hpp"

namespace keyd {

// One thread, begun and in its loop when the constructor returns, so that a filter of
// system calls which is loaded afterwards covers it and it needs no call beyond that.
// The other functions are for the thread that made it.
class KeyMaker {
 public:
  KeyMaker();
  // Waits for the key that is being made.
  ~KeyMaker();
  KeyMaker(const KeyMaker&) = delete;
  KeyMaker& operator=(const KeyMaker&) = delete;

  // How many keys should lie ready; those that do count.
  void want(std::size_t keys);
  // Readable when there are some.
  pollfd interest() const { return {ready_.get(), POLLIN, 0}; }
  std::vector<ticket::token::IssuerKey> take();

 private:
  static void* run(void* self);
  void work();
  void put(std::unique_lock<std::mutex>& lock);
  void ring() const;

  ticket::ring::Fd ready_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<ticket::token::IssuerKey> keys_;
  std::size_t wanted_ = 0;
  bool running_ = false, stopping_ = false;
  pthread_t thread_{};
};

}  // namespace keyd
