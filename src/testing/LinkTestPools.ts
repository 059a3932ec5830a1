/** For tests of pools: two of them, with time and chance in the test's hand. */
import type { PeerKey } from "../model/Names.ts"
import { LinkPool, type LinkPoolOptions } from "../request/link/LinkPool.ts"
import { alice, bob, ManualTicker, Pump, type Recorder, Served } from "./LinkTestPair.ts"
import { MemoryNetwork } from "./MemoryNetwork.ts"
import { seededRandom } from "./simulator/EventQueue.ts"

/** Two pools on one network, one clock and one pump. */
export const makePools = (options: Partial<LinkPoolOptions> = {}) => {
  const pump = new Pump()
  const ticker = new ManualTicker(seededRandom(1))
  const network = new MemoryNetwork({ defer: pump.defer })
  const served: Array<Served> = []
  const make = (self: PeerKey) => {
    return new LinkPool({
      transport: network.transport(self),
      ticker,
      node: self === alice ? "host-a" : "host-b",
      serve: (call, receiver) => {
        const exchange = new Served(call, receiver)
        served.push(exchange)
        return exchange
      },
      addressesOf: () => ["/memory/0"],
      defer: pump.defer,
      ...options
    })
  }
  const a = make(alice)
  const b = make(bob)
  b.listen().catch((error: unknown) => {
    throw error
  })
  /** Lets promises and the pump run until neither has anything to do. */
  const settle = async () => {
    for (let quiet = 0; quiet < 4; ) {
      await Promise.resolve()
      quiet = pump.turn() ? 0 : quiet + 1
    }
  }
  const advance = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 50) {
      ticker.advance(Math.min(50, ms - passed))
      await settle()
    }
  }
  return { pump, ticker, network, served, a, b, settle, advance }
}

export const outcome = (receiver: Recorder) => receiver.fault?.code ?? receiver.text
