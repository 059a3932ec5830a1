/**
 * yamux that does not answer every byte with a window update. The library tops a stream's window up
 * after each frame it reads, so that a question of 30 bytes and its answer cost two more frames, each
 * sealed, written and read by itself: half of all that moves in a mesh at rest. Here a window is topped
 * up once half of it is used, as the original does it (hashicorp/yamux, `sendWindowUpdate`: nothing is
 * sent below half of the window unless there are flags to be said). What a peer may send is the same.
 *
 * The library has no setting for that, so the streams it makes are changed one by one. Where their
 * insides are not what is expected here, they stay as they are made.
 */
import { yamux } from "@chainsafe/libp2p-yamux"
import type { MessageStream, StreamMuxerFactory } from "@libp2p/interface"
import { tellListenersOnly } from "./HeardEvents.ts"

/** Yamux's StreamState.Established: before, a window update carries flags that must be said. */
const established = 3

/** What we need of a YamuxStream; the library calls these fields private. */
interface Inside {
  readonly state: number
  readonly recvWindow: number
  readonly recvWindowCapacity: number
  sendWindowUpdate(): void
}

type NewStream = (...args: ReadonlyArray<unknown>) => unknown

const isInside = (stream: unknown): stream is Inside =>
  typeof stream === "object" &&
  stream !== null &&
  ["state", "recvWindow", "recvWindowCapacity"].every(
    (field) => typeof Reflect.get(stream, field) === "number"
  ) &&
  typeof Reflect.get(stream, "sendWindowUpdate") === "function"

const quiet = (stream: unknown): unknown => {
  tellListenersOnly(stream)
  if (!isInside(stream)) return stream
  const topUp = stream.sendWindowUpdate.bind(stream)
  stream.sendWindowUpdate = () => {
    if (stream.state === established && 2 * stream.recvWindowCapacity > stream.recvWindow) return
    topUp()
  }
  return stream
}

export const quietYamux = (init: Parameters<typeof yamux>[0]): (() => StreamMuxerFactory) => {
  const make = yamux(init)
  return () => {
    const factory = make()
    const create = factory.createStreamMuxer.bind(factory)
    factory.createStreamMuxer = (connection: MessageStream) => {
      tellListenersOnly(connection)
      const muxer = create(connection)
      const newStream: unknown = Reflect.get(muxer, "_newStream")
      if (typeof newStream === "function") {
        const made: NewStream = (...args) => quiet(Reflect.apply(newStream, muxer, args))
        Reflect.set(muxer, "_newStream", made)
      }
      return muxer
    }
    return factory
  }
}
