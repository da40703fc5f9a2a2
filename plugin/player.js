// The one thing that FiftyOne 1.22 lets no Python panel do: show a frame of the open video.
(function () {
  "use strict";
  const { Operator, OperatorConfig, executeOperator, registerOperator } = window.__foo__;
  const PLUGIN = "@hs2s/vos";
  const TAB = "#modal [data-cy=panel-tab-fo-sample-modal-plugin]";
  const CANVAS = "#modal [data-cy=sample-canvas]";
  const PAUSE = 100; // milliseconds
  const TRIES = 200;
  let covered = null; // a player that is gone since a panel lies over its video

  class ShowFrame extends Operator {
    get config() {
      return new OperatorConfig({ name: "show_frame", label: "Show a frame", unlisted: true });
    }

    // In the Annotate tab another player is open, which takes no orders: nothing happens there.
    async execute({ state, params }) {
      const player = await state.snapshot.getPromise(window.__fos__.modalLooker);
      const tab = document.querySelector(TAB);
      if (tab && !document.querySelector(CANVAS)) {
        covered = player;
        tab.click();
      }
      const tries = params.tries || 0;
      if (!ready(player) && tries < TRIES) {
        // Executed anew, because this state does not know a later player.
        const more = { ...params, tries: tries + 1 };
        setTimeout(() => executeOperator(`${PLUGIN}/show_frame`, more), PAUSE);
      } else if (player && player.seekToFrame) {
        player.seekToFrame(params.frame_number);
      } else if (window.__fopb__) {
        // A group of images, played in order.
        window.__fopb__.dispatchTimelineSetFrameNumberEvent({
          newFrameNumber: params.frame_number,
        });
      }
    }
  }

  function ready(player) {
    if (!player || !player.seekToFrame) return !covered;
    return player !== covered && player.state.loaded && !player.state.buffering;
  }

  registerOperator(ShowFrame, PLUGIN);
})();
