// The keeper's side of the front: the process, and the pair of sockets to it.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <vector>

#include "messages.hpp"
#include "ring/ring_file.hpp"  // Fd

namespace keyd {

// Started before the keeper has read any secret; ends with the keeper, however
// the keeper ends.
class FrontProcess {
 public:
  // fork and exec of this very program as `front --fd N`.
  FrontProcess();
  // Waits a moment for it to end by itself.
  ~FrontProcess();

  void send(const ToFront& message);

  pollfd interest() const;
  // Reads and writes what can be. Throws ChannelError when the front is gone or
  // speaks out of turn.
  std::vector<ToKeeper> handle(short events);

 private:
  void read_some();
  void flush();

  pid_t process_ = -1;
  ticket::ring::Fd socket_;
  FrameDecoder decoder_{front_frame_limit};
  std::string out_;
};

}  // namespace keyd
