/** Why a setting was not set; nothing was changed then. */
import { Data } from "effect"

export class SettingNotWritten extends Data.TaggedError("SettingNotWritten")<{
  readonly code: /** This node's certificate does not grant what the kind asks for. */
    | "not_granted"
    | "unknown_kind"
    | "invalid"
    | "too_large"
    /** There is no room for another. */
    | "full"
    /** This host's clock is far behind what others set. */
    | "clock_behind"
    /** There is nothing of that name to delete. */
    | "not_there"
    /** Signed, and not taken by this node's own catalogue. */
    | "refused"
  readonly message: string
  readonly hint: string
}> {}
