/**
 * The first words of a handshake between two nodes, before Noise: what the dialler asks for, and the answer by
 * which a request thread turns it away without the mesh thread. After multistream's the first byte of whoever
 * was called says whether it has time (mesh/trust/HandshakeStatus.ts).
 */

/** Noise, and the conversation of admission behind it. */
export const encrypterProtocol = "/skein/noise/3"

const line = (text: string): string => `${String.fromCharCode(text.length + 1)}${text}\n`

/** Multistream's greeting and the one proposal, as a dialler sends them in one piece, and hears them repeated. */
const agreed = Buffer.from(`${line("/multistream/1.0.0")}${line(encrypterProtocol)}`, "latin1")

/** So many bytes tell whether a dialler asks for a handshake. They may come one by one. */
export const askingBytes = agreed.length

export const statusBytes = 3

/** Come back in so many ms. */
export const busyStatus = (retryAfter: number): Buffer => {
  const status = Buffer.alloc(statusBytes)
  status.writeUInt8(1, 0)
  status.writeUInt16BE(Math.min(0xffff, Math.ceil(retryAfter)), 1)
  return status
}

/** All that is to be said to who began like this and is to come back; undefined: it did not ask for a handshake. */
export const busyAnswer = (first: Buffer, retryAfter: number): Buffer | undefined =>
  first.subarray(0, agreed.length).equals(agreed)
    ? Buffer.concat([agreed, busyStatus(retryAfter)])
    : undefined
