/** One root of a mesh: a key that signs for all of it, as long as it is in force (Roots.ts). */
import { RootId } from "../../schema/TrustSchema.ts"
import { rootHolding } from "./Grant.ts"
import type { WithdrawnRoots } from "./RootStatement.ts"
import type { Authorized } from "./SignedChain.ts"
import { meshIdOf } from "./SigningKey.ts"

/** Names a root by its public key: 32 hex digits of a SHA-256. That of the first one is the mesh's id. */
export const rootIdOf = (publicKey: Uint8Array): RootId => RootId.make(meshIdOf(publicKey))

export interface Root {
  readonly id: RootId
  readonly publicKey: Uint8Array
  /** Who added it; undefined: the mesh was founded with it. */
  readonly by: RootId | undefined
  /** The delegation by which that one signs for it. */
  readonly cross: Uint8Array | undefined
  /** Wall clock, ms; 0 of the first. */
  readonly at: number
  /** Undefined: in force. */
  readonly withdrawn: WithdrawnRoots | undefined
}

/** Whom a mesh is founded with. */
export const firstRoot = (publicKey: Uint8Array): Root => ({
  id: rootIdOf(publicKey),
  publicKey,
  ...{ by: undefined, cross: undefined, at: 0, withdrawn: undefined }
})

/** All that the root itself may sign. */
export const authorizedBy = ({ id, publicKey }: Root): Authorized => ({
  signer: publicKey,
  root: id,
  grant: rootHolding,
  issuers: [],
  notBefore: 0,
  notAfter: Number.POSITIVE_INFINITY
})
