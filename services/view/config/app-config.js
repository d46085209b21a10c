// How OHIF is set up here. The part of DICOMweb it reads is named in the page's address: root=study/<id>,
// submission/<id> or share/<id>. Only names of that form are taken, always of this server.
window.PUBLIC_URL = '/viewer/';
window.browserImportFunction = name => import(name);

(() => {
  const asked = new URLSearchParams(location.search).get('root') || '';
  const named = /^(study|submission|share)\/[A-Za-z0-9_-]{1,64}$/.test(asked);
  const home = asked.startsWith('study/') && named ? `/studies/${asked.slice(6)}` : '/';
  const root = `${location.origin}/dicomweb${named ? `/${asked}` : ''}`;

  try {
    localStorage.setItem('shownTours', '["basicViewerTour"]');
  } catch {
    // without storage the tour is shown
  }

  window.config = {
    name: 'anteroom',
    routerBasename: '/viewer',
    extensions: [],
    modes: [],
    customizationService: {},
    whiteLabeling: {
      createLogoComponentFn: React =>
        React.createElement(
          'a',
          { href: home, style: { color: '#fff', fontSize: '17px', fontWeight: 600, padding: '10px 4px' } },
          'Anteroom'
        ),
    },
    showStudyList: !asked.startsWith('study/'),
    showLoadingIndicator: true,
    showWarningMessageForCrossOrigin: false,
    showCPUFallbackMessage: true,
    strictZSpacingForVolumeViewport: true,
    investigationalUseDialog: { option: 'never' },
    maxNumberOfWebWorkers: Math.max(1, Math.min(3, navigator.hardwareConcurrency || 1)),
    maxNumRequests: { interaction: 100, thumbnail: 6, prefetch: 25 },
    studyPrefetcher: { enabled: false },
    defaultDataSourceName: 'dicomweb',
    dataSources: [
      {
        namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
        sourceName: 'dicomweb',
        configuration: {
          friendlyName: 'Anteroom',
          name: 'anteroom',
          qidoRoot: root,
          wadoRoot: root,
          qidoSupportsIncludeField: true,
          supportsReject: false,
          supportsStow: false,
          supportsFuzzyMatching: true,
          supportsWildcard: true,
          imageRendering: 'wadors',
          thumbnailRendering: 'thumbnail',
          enableStudyLazyLoad: true,
          omitQuotationForMultipartRequest: true,
          singlepart: 'bulkdata,video',
          bulkDataURI: { enabled: true, relativeResolution: 'studies' },
        },
      },
    ],
  };
  // Who works in the viewer is there; who left it is signed out.
  import('/static/-/idle.js').catch(() => {});
})();
