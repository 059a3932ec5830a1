/**
 * Who reads mesh-wide settings for the catalogue: they stand in it beside the nodes' records, and are judged
 * by mesh/settings, which the composition of a node hands in. Without a reader they are records of a
 * further kind, as they are to nodes from before there were any.
 */
import type { Either } from "effect"
import type { Setting } from "../../model/Setting.ts"
import type { VerifiedCertificate } from "../trust/Certificate.ts"

export interface SettingReader {
  /** `payload`: of an envelope whose signature is good; `certificate`: as it was when it signed. */
  readonly read: (
    payload: Uint8Array,
    certificate: VerifiedCertificate
  ) => Either.Either<
    Setting,
    { readonly code: "unreadable" | "not_granted"; readonly message: string }
  >
  /** Of all that are held, those that need not be kept any more; `wall` in ms. */
  readonly over: (
    held: Iterable<{ readonly setting: Setting; readonly hash: Uint8Array }>,
    wall: number
  ) => ReadonlySet<Setting>
}
