/**
 * The session of two nodes, from the secrets that both carried through their handshake
 * (HandshakeChannel.ts, `keys`), or through a question later on. Whoever did not see both has neither
 * the id nor the secret, and one does not lead to the other. Nor does what request threads have lead to
 * what the mesh thread keeps for itself: by that a connection of the two is resumed (Resumption.ts).
 */
import { hkdfSync } from "node:crypto"
import { type SessionId, sessionIdBytes, sessionSecretBytes } from "../../model/Session.ts"
import { type ResumptionSecret, resumptionIdBytes } from "./Resumption.ts"

/** What each side contributes. */
export const contributionBytes = 32

export interface SessionSecret {
  readonly id: SessionId
  readonly secret: Uint8Array
  /** Undefined: nothing is resumed by it. */
  readonly resumption?: ResumptionSecret | undefined
}

/** Both in the order in which they were sent: the dialler's first. */
export const sessionOf = (
  fromDialler: Uint8Array,
  fromListener: Uint8Array
): Required<SessionSecret> & { readonly resumption: ResumptionSecret } => {
  const both = Buffer.concat([fromDialler, fromListener])
  const derive = (label: string, length: number): Uint8Array =>
    new Uint8Array(hkdfSync("sha256", both, "", `skein session ${label}`, length))
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
  return {
    id: hex(derive("id", sessionIdBytes)),
    secret: derive("secret", sessionSecretBytes),
    resumption: {
      id: hex(derive("resumption id", resumptionIdBytes)),
      secret: derive("resumption secret", sessionSecretBytes)
    }
  }
}
