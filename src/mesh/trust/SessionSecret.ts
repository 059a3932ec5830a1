/**
 * The session of two nodes, from the secrets that both carried through their handshake
 * (HandshakeChannel.ts, `keys`). The connection's record keys come from the same secrets by other
 * labels: neither can be had from the other, and both sides have the same session, whoever dialled.
 */
import { hkdfSync } from "node:crypto"
import { type SessionId, sessionIdBytes, sessionSecretBytes } from "../../model/Session.ts"

export interface SessionSecret {
  readonly id: SessionId
  readonly secret: Uint8Array
}

/** Both in the order in which they were sent: the dialler's first. */
export const sessionOf = (fromDialler: Uint8Array, fromListener: Uint8Array): SessionSecret => {
  const both = Buffer.concat([fromDialler, fromListener])
  const derive = (label: string, length: number): Uint8Array =>
    new Uint8Array(hkdfSync("sha256", both, "", `skein session ${label}`, length))
  return {
    id: Buffer.from(derive("id", sessionIdBytes)).toString("hex"),
    secret: derive("secret", sessionSecretBytes)
  }
}
