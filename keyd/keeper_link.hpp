// The front's side of the keeper: an upstream behind a socketpair, which also
// says how to be set up and when to stop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <deque>

#include "upstream.hpp"

namespace keyd {

class KeeperLink : public Upstream {
 public:
  struct Events {
    std::function<SetUp(const Setup&)> set_up;             // answered to the keeper
    std::function<void(const std::string& pool)> changed;  // a new generation
    std::function<void(const Report&)> reported;           // for those who watch
    std::function<void(const MakeSentinel&)> make_sentinel;
    std::function<void()> clock_accepted;
    std::function<void()> stop;
    std::function<void(const std::string& why)> lost;  // the keeper is gone
  };

  KeeperLink(boost::asio::io_context& context, int socket, Events events);

  const ShelfPool* pool(const std::string& name) const override;
  void enrol(Enrol request, std::function<void(const Enrolled&)> done) override;
  void seen(SeenList members) override;
  const ShelfDirectory* directory(const std::string& pool) const override;
  void issue(Issue request, std::function<void(const Issued&)> done) override;
  void sentinel_made(SentinelMade answer) override;
  void record_lost(RecordLost loss) override;

 private:
  boost::asio::awaitable<void> read();
  boost::asio::awaitable<void> write();
  void send(const ToKeeper& message);
  void handle(const ToFront& message);
  void take(const Setup& setup);
  void take(const Publish& generation);
  void take(const AddWrap& wrap);
  void take(const Enrolled& answer);
  void take(const Directory& published);
  void take(const Issued& answer);

  boost::asio::local::stream_protocol::socket socket_;
  Events events_;
  FrameDecoder decoder_{front_frame_limit};
  std::deque<std::string> out_;
  std::map<std::string, ShelfPool> shelf_;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, std::function<void(const Enrolled&)>> enrolling_;
  std::map<std::string, ShelfDirectory> directories_;  // by pool
  std::map<std::uint64_t, std::function<void(const Issued&)>> issuing_;
};

}  // namespace keyd
