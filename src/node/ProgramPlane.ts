/** The request plane in a program's own thread, whose node has its mesh plane in another. */
import type { Log } from "../model/Log.ts"
import { forgetThread, makeHostMemory } from "../request/HostMemory.ts"
import { LoopTicker } from "../request/LoopTicker.ts"
import type { FromPlane, PlaneSetup } from "../request/PlaneMessages.ts"
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
  /** Which of how many planes of the node this is; undefined: the mesh thread has not come so far. */
  #place: Pick<PlaneSetup, "index" | "threads"> | undefined

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

  override begin(setup: PlaneSetup, mesh: (message: FromPlane) => void): void {
    this.#place = setup
    super.begin(setup, mesh)
  }

  /**
   * The mesh thread has ended, and the node's other planes with it, which are threads of that: this one may have
   * what they had.
   */
  othersEnded(): void {
    const { index = 0, threads = 1 } = this.#place ?? {}
    for (let other = 0; other < threads; other++) {
      if (other !== index) forgetThread(this.memory, other)
    }
  }

  override stop(): void {
    super.stop()
    this.ticker.stop()
  }
}
