// Plain HTTP for those who watch: /metrics and the status page on /. Reading
// only, one request a connection, and bounded: heads in size, connections in
// time and number, pages in how often they are made.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "config.hpp"

namespace keyd {

class StatusListener {
 public:
  struct Pages {
    std::function<std::string()> metrics;             // exposition format
    std::function<std::string()> status;              // HTML
    std::function<std::string()> manifest = nullptr;  // the client manifest; an agent has none
  };

  // Listens at once; throws std::runtime_error naming the address.
  StatusListener(boost::asio::io_context& context, const Address& address, Pages pages);
  // Ends the connections too. The pages are not asked for afterwards.
  ~StatusListener();
  StatusListener(StatusListener&&) noexcept;
  StatusListener& operator=(StatusListener&&) noexcept;

  std::string endpoint() const;  // "HOST:PORT" as bound

 private:
  struct Room;  // outlives the listener while connections end
  std::shared_ptr<Room> room_;
};

// The listener of a configuration that was read again. `metrics` has none or one
// address; the same one as before keeps what listens there.
class MetricsDoor {
 public:
  MetricsDoor(boost::asio::io_context& context, StatusListener::Pages pages)
      : context_(context), pages_(std::move(pages)) {}

  // In two steps, so that a configuration is taken over whole: prepare() throws
  // and changes nothing, adopt() does not throw.
  struct Prepared {
    std::optional<Address> address;
    std::optional<StatusListener> listener;  // none: what there is stays, or goes
  };
  Prepared prepare(const std::optional<Address>& address);
  void adopt(Prepared prepared);

 private:
  boost::asio::io_context& context_;
  StatusListener::Pages pages_;
  std::optional<Address> address_;
  std::optional<StatusListener> listener_;
};

}  // namespace keyd
