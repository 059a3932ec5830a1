/** What must be so before traffic should come to this node: what `/ready` says, and whatever asks before it sends some. */
import type { ReadinessItem } from "../admin/NodeModel.ts"
import type { Drain } from "./Drain.ts"
import type { FirstOffer } from "./FirstOffer.ts"
import type { MeshPlane } from "./MeshPlane.ts"

export interface ReadinessSources {
  readonly drain: Pick<Drain, "state">
  readonly firstOffer: Pick<FirstOffer, "missing">
  readonly plane: Pick<MeshPlane, "clockReport" | "met" | "thrownOut">
}

export const readinessOf = ({
  drain,
  firstOffer,
  plane
}: ReadinessSources): ReadonlyArray<ReadinessItem> => {
  const thrownOut = plane.thrownOut()
  return [
    {
      name: "serving",
      ready: drain.state === "serving",
      detail: drain.state === "serving" ? "takes requests" : `the node is ${drain.state}`
    },
    plane.met(),
    ...firstOffer.missing(),
    ...plane.clockReport.readiness(),
    ...(thrownOut === undefined ? [] : [{ name: "member", ready: false, detail: thrownOut }])
  ]
}
