// Records whose store is a Redis for each pool: a connection each, which makes sentinels
// and looks every second whether they stand.
#pragma once

#include <boost/asio/io_context.hpp>
#include <map>
#include <memory>
#include <string>

#include "records.hpp"
#include "redis_link.hpp"
#include "upstream.hpp"

namespace keyd {

class RedisRecords final : public Records {
 public:
  // Both must outlive it.
  RedisRecords(boost::asio::io_context& context, Upstream& upstream);
  ~RedisRecords() override;

  // A pool whose store stays keeps its connection.
  void configure(const std::vector<IssuerSetup>& issuers) override;
  // One that is only to be watched is so at once, connected or not; it is lost if it is gone.
  void make(const MakeSentinel& sentinel) override;

 private:
  struct Store {
    Address address;
    bool durable = false;
    std::unique_ptr<RedisWatch> watch;
  };
  std::unique_ptr<RedisWatch> open(const std::string& pool, const Store& store);

  boost::asio::io_context& context_;
  Upstream& upstream_;
  std::map<std::string, Store> stores_;  // by pool
};

}  // namespace keyd
