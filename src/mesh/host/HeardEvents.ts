/**
 * libp2p's streams make an event of each message that was written out, on every layer of a connection, though next
 * to nobody ever listens. Made by a thread that has slept each is some 10 µs: of a ping, and of its answer, a tenth.
 *
 * What is not such a stream stays as it is.
 */
interface Teller {
  listenerCount(type: string): number
  safeDispatchEvent(type: string, detail?: unknown): boolean
}

const isTeller = (stream: unknown): stream is Teller =>
  typeof stream === "object" &&
  stream !== null &&
  typeof Reflect.get(stream, "listenerCount") === "function" &&
  typeof Reflect.get(stream, "safeDispatchEvent") === "function"

/** From now on no event is made that nobody would hear of. Nobody can have called it off either: true. */
export const tellListenersOnly = (stream: unknown): void => {
  if (!isTeller(stream)) return
  const tell = stream.safeDispatchEvent.bind(stream)
  stream.safeDispatchEvent = (type, detail) =>
    stream.listenerCount(type) === 0 || tell(type, detail)
}
