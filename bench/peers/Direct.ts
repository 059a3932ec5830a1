/** No proxies: what load and upstream do between themselves. */
import type { StartPair } from "./Peer.ts"

export const startDirect: StartPair = async ({ upstream }) => ({
  name: "direct",
  entry: upstream,
  host: "bench.mesh",
  sides: undefined,
  stop: async () => undefined
})
