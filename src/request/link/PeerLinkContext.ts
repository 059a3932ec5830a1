/** What the links to a peer need of the node they belong to. */
import type { OnDefect } from "../../model/Defect.ts"
import type { PeerKey, ServiceName } from "../../model/Names.ts"
import type { Ticker } from "../../model/Time.ts"
import type { LinkOptions } from "../wire/LinkOptions.ts"
import type { LinkTransport } from "./LinkTransport.ts"
import type { PeerLinkLimits } from "./PeerLinkLimits.ts"

export interface PeerLinkContext {
  readonly transport: LinkTransport
  readonly ticker: Ticker
  readonly limits: PeerLinkLimits
  readonly node: string
  readonly linkOptions: Pick<LinkOptions, "heads" | "limits" | "defer" | "nameOf"> & {
    readonly onDefect: OnDefect
  }
  /** Where a peer that nobody wants yet can be reached. */
  readonly addressesOf: (peer: PeerKey) => ReadonlyArray<string>
  /** A call to the service has to wait for a link. */
  readonly onWait: (service: ServiceName) => void
  readonly onUp: (peer: PeerKey) => void
  readonly onDown: (peer: PeerKey, cause: Error | undefined) => void
}
