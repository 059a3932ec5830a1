/**
 * Programs in this thread that serve without a port: what is called is handed to them as it came
 * (model/Exchange.ts), with no socket and no HTTP/1.1 between.
 */
import type { Dispatch } from "../../model/Exchange.ts"
import type { ServiceName } from "../../model/Names.ts"

export class Programs {
  readonly #served = new Map<string, Dispatch>()

  /** Takes the calls of this endpoint from now on; returns how to end that. */
  serve(service: ServiceName, id: string, dispatch: Dispatch): () => void {
    const key = keyOf(service, id)
    this.#served.set(key, dispatch)
    return () => {
      if (this.#served.get(key) === dispatch) this.#served.delete(key)
    }
  }

  get(service: ServiceName, id: string): Dispatch | undefined {
    return this.#served.get(keyOf(service, id))
  }
}

const keyOf = (service: ServiceName, id: string): string => `${service}/${id}`
