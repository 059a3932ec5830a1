/** The request plane in a program's own thread, whose node has its mesh plane in another. */
import type { Log } from "../model/Log.ts"
import { makeHostMemory } from "../request/HostMemory.ts"
import { LoopTicker } from "../request/LoopTicker.ts"
import { RequestPlane } from "../request/RequestPlane.ts"
import type { ProgramOffer } from "../schema/ProgramOfferSchema.ts"
import { KeptPlane } from "./KeptPlane.ts"

export interface ProgramPlaneOptions {
  readonly log: Log
}

export class ProgramPlane extends KeptPlane<RequestPlane> {
  readonly ticker: LoopTicker
  /** What all planes of the node share, over all lives of the mesh thread. */
  readonly memory = makeHostMemory()
  /** What the program serves by itself, all of it. */
  served: ReadonlyArray<ProgramOffer> = []

  constructor({ log }: ProgramPlaneOptions) {
    const ticker = new LoopTicker()
    super({
      log,
      ticker,
      endsWithMesh: false,
      make: (setup, post) => new RequestPlane(setup, { ticker, post, onStopped: () => undefined })
    })
    this.ticker = ticker
  }

  override stop(): void {
    super.stop()
    this.ticker.stop()
  }
}
