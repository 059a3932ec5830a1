/**
 * Noise's stream, as libp2p has it, finds out that a message is over by an error: what reads the length of the next one
 * throws where there is none yet, with all that called it written down. Of the processor time of a node at rest that was
 * a twentieth. Here it says that a length is to come by one that nothing is as long as.
 *
 * Where the library's insides are not what is expected here, it reads as it always does.
 */
import type { MessageStream } from "@libp2p/interface"

/** Before each message. */
const lengthBytes = 2

/** More than there can be, where there is less than a length. */
const stillToCome = lengthBytes

interface Received {
  readonly byteLength: number
  get(index: number): number
}

interface Decoder {
  /** Reads the length at the beginning of what has come. */
  lengthDecoder: (received: Received) => number
}

const isDecoder = (value: unknown): value is Decoder =>
  typeof value === "object" &&
  value !== null &&
  typeof Reflect.get(value, "lengthDecoder") === "function"

const readLength = (received: Received): number =>
  received.byteLength < lengthBytes ? stillToCome : (received.get(0) << 8) | received.get(1)

/** Of a connection that Noise has secured. */
export const readLengthsQuietly = (secured: MessageStream): void => {
  const decoder: unknown = Reflect.get(secured, "decoder")
  if (isDecoder(decoder)) decoder.lengthDecoder = readLength
}
