/** What an exchange of either end needs of its link. */
import type { Fault, FaultCode } from "../../model/Fault.ts"
import type { ServiceName } from "../../model/Names.ts"
import type { HeadCodec } from "../wire/LinkOptions.ts"
import type { LinkSections } from "../wire/LinkSections.ts"
import type { LinkSession } from "../wire/LinkSession.ts"

export interface ExchangeHost {
  readonly session: LinkSession
  readonly heads: HeadCodec
  readonly sections: LinkSections
  /** For people. */
  readonly remoteName: string
  /** The exchange is over: its id is free of meaning from now on. */
  remove(id: number): void
  /** Something behind the link threw. */
  defect(error: unknown): void
  /** A fault that this node decides. */
  fault(code: FaultCode, message: string, service: ServiceName, sent: boolean): Fault
}
