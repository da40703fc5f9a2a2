// The one thing that FiftyOne 1.22 lets no Python panel do: show a frame of the open video.
(function () {
  "use strict";
  const { Operator, OperatorConfig, registerOperator } = window.__foo__;

  class ShowFrame extends Operator {
    get config() {
      return new OperatorConfig({ name: "show_frame", label: "Show a frame", unlisted: true });
    }

    // In the Annotate tab another player is open, which takes no orders: nothing happens there.
    async execute({ state, params }) {
      const player = await state.snapshot.getPromise(window.__fos__.modalLooker);
      if (player && player.seekToFrame) {
        player.seekToFrame(params.frame_number);
      } else if (window.__fopb__) {
        // A group of images, played in order.
        window.__fopb__.dispatchTimelineSetFrameNumberEvent({
          newFrameNumber: params.frame_number,
        });
      }
    }
  }

  registerOperator(ShowFrame, "@hs2s/vos");
})();
