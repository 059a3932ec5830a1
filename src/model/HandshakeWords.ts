/**
 * The first words of a handshake between two nodes, before Noise: what the dialler asks for, and the answer by
 * which a request thread turns it away without the mesh thread. After multistream's the first byte of whoever
 * was called says whether it has time (mesh/trust/HandshakeStatus.ts).
 */

/** Noise, and the conversation of admission behind it. */
export const encrypterProtocol = "/skein/noise/3"

/** A secret of an earlier handshake in place of that; where it is not taken, the same goes on (mesh/trust/Resumption.ts). */
export const resumptionProtocol = "/skein/resume/1"

/** A word of multistream-select, with its length. */
const line = (text: string): Buffer =>
  Buffer.from(`${String.fromCharCode(text.length + 1)}${text}\n`, "latin1")

/** What whoever dials begins with, and hears repeated. */
export const greeting = line("/multistream/1.0.0")

/** The proposals that are taken, and repeated for that. */
export const proposals: ReadonlyArray<Buffer> = [line(encrypterProtocol), line(resumptionProtocol)]

/** The answer to any other. */
export const declined = line("na")

export const statusBytes = 3

/** Come back in so many ms. */
export const busyStatus = (retryAfter: number): Buffer => {
  const status = Buffer.alloc(statusBytes)
  status.writeUInt8(1, 0)
  status.writeUInt16BE(Math.min(0xffff, Math.ceil(retryAfter)), 1)
  return status
}
