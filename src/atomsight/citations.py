"""What to cite: the methods and the data behind atomsight, as BibTeX.

Each entry says what it is cited for, so that a paper can name exactly what it used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from atomsight._version import __version__
from atomsight.errors import InputError


@dataclass(frozen=True)
class Citation:
    """One work to cite.

    Attributes:
        name: short stable name, as ``atomsight cite NAME`` takes it, and the BibTeX key.
        topic: ``software``, ``method`` or ``data``.
        reason: what it is cited for.
        kind: BibTeX entry type.
        fields: BibTeX fields in order.
    """

    name: str
    topic: str
    reason: str
    kind: str
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def bibtex(self) -> str:
        """The entry as BibTeX."""
        width = max(len(key) for key in self.fields)
        lines = [f"  {key:<{width}} = {{{value}}}," for key, value in self.fields.items()]
        return "\n".join([f"@{self.kind}{{{self.name},", *lines, "}"])


def _article(name: str, topic: str, reason: str, **fields: str) -> Citation:
    return Citation(name, topic, reason, "article", fields)


CITATIONS: tuple[Citation, ...] = (
    Citation(
        "atomsight",
        "software",
        "this software",
        "software",
        {
            "author": "{The atomsight developers}",
            "title": "atomsight: which chemical element sits on every site of a bare periodic point set",
            "version": __version__,
            "license": "MIT",
        },
    ),
    _article(
        "amd",
        "method",
        "k-nearest-neighbour distances of a periodic point set as its description",
        author="Widdowson, Daniel and Mosca, Marco M. and Pulido, Angeles and Cooper, Andrew I. and "
        "Kurlin, Vitaliy",
        title="Average minimum distances of periodic point sets -- foundational invariants for mapping "
        "periodic crystals",
        journal="MATCH Communications in Mathematical and in Computer Chemistry",
        volume="87",
        number="3",
        pages="529--559",
        year="2022",
        doi="10.46793/match.87-3.529W",
    ),
    Citation(
        "pdd",
        "method",
        "the k-NN distances of every site as a complete invariant of generic crystals",
        "inproceedings",
        {
            "author": "Widdowson, Daniel and Kurlin, Vitaliy",
            "title": "Resolving the data ambiguity for periodic crystals",
            "booktitle": "Advances in Neural Information Processing Systems",
            "volume": "35",
            "pages": "24625--24638",
            "year": "2022",
            "eprint": "2108.04798",
            "archiveprefix": "arXiv",
        },
    ),
    Citation(
        "calibration",
        "method",
        "expected calibration error and temperature scaling",
        "inproceedings",
        {
            "author": "Guo, Chuan and Pleiss, Geoff and Sun, Yu and Weinberger, Kilian Q.",
            "title": "On calibration of modern neural networks",
            "booktitle": "Proceedings of the 34th International Conference on Machine Learning",
            "series": "Proceedings of Machine Learning Research",
            "volume": "70",
            "pages": "1321--1330",
            "year": "2017",
            "eprint": "1706.04599",
            "archiveprefix": "arXiv",
        },
    ),
    Citation(
        "selective",
        "method",
        "accuracy against coverage when unsure answers are withheld",
        "inproceedings",
        {
            "author": "Geifman, Yonatan and El-Yaniv, Ran",
            "title": "Selective classification for deep neural networks",
            "booktitle": "Advances in Neural Information Processing Systems",
            "volume": "30",
            "year": "2017",
            "eprint": "1705.08500",
            "archiveprefix": "arXiv",
        },
    ),
    _article(
        "power-spectrum",
        "method",
        "angles between neighbours, from the power spectrum of a density around a site",
        author="Bart{\\'o}k, Albert P. and Kondor, Risi and Cs{\\'a}nyi, G{\\'a}bor",
        title="On representing chemical environments",
        journal="Physical Review B",
        volume="87",
        number="18",
        pages="184115",
        year="2013",
        doi="10.1103/PhysRevB.87.184115",
    ),
    _article(
        "crystal-graphs",
        "method",
        "gated messages between neighbouring sites, in the masked-site model",
        author="Xie, Tian and Grossman, Jeffrey C.",
        title="Crystal graph convolutional neural networks for an accurate and interpretable prediction of "
        "material properties",
        journal="Physical Review Letters",
        volume="120",
        number="14",
        pages="145301",
        year="2018",
        doi="10.1103/PhysRevLett.120.145301",
    ),
    Citation(
        "soap",
        "method",
        "the optimiser of training",
        "misc",
        {
            "author": "Vyas, Nikhil and Morwani, Depen and Zhao, Rosie and Kwun, Mujin and Shapira, Itai and "
            "Brandfonbrener, David and Janson, Lucas and Kakade, Sham",
            "title": "{SOAP}: Improving and stabilizing {Shampoo} using {Adam}",
            "year": "2024",
            "eprint": "2409.11321",
            "archiveprefix": "arXiv",
        },
    ),
    _article(
        "covalent-radii",
        "method",
        "covalent radii that tell which atoms are bonded",
        author="Cordero, Beatriz and G{\\'o}mez, Ver{\\'o}nica and Platero-Prats, Ana E. and "
        "Rev{\\'e}s, Marc and Echeverr{\\'i}a, Jorge and Cremades, Eduard and Barrag{\\'a}n, Flavia and "
        "Alvarez, Santiago",
        title="Covalent radii revisited",
        journal="Dalton Transactions",
        number="21",
        pages="2832--2838",
        year="2008",
        doi="10.1039/b801115j",
    ),
    _article(
        "bond-lengths",
        "method",
        "names of the peaks of distances",
        author="Allen, Frank H. and Kennard, Olga and Watson, David G. and Brammer, Lee and "
        "Orpen, A. Guy and Taylor, Robin",
        title="Tables of bond lengths determined by {X}-ray and neutron diffraction. Part 1. Bond lengths in "
        "organic compounds",
        journal="Journal of the Chemical Society, Perkin Transactions 2",
        number="12",
        pages="S1--S19",
        year="1987",
        doi="10.1039/P298700000S1",
    ),
    _article(
        "diffusion-kde",
        "method",
        "bandwidth of the kernel with which peaks of distances are found",
        author="Botev, Z. I. and Grotowski, J. F. and Kroese, D. P.",
        title="Kernel density estimation via diffusion",
        journal="The Annals of Statistics",
        volume="38",
        number="5",
        pages="2916--2957",
        year="2010",
        doi="10.1214/10-AOS799",
    ),
    _article(
        "student-mixture",
        "method",
        "the shares of overlapping peaks of distances",
        author="Peel, D. and McLachlan, G. J.",
        title="Robust mixture modelling using the t distribution",
        journal="Statistics and Computing",
        volume="10",
        number="4",
        pages="339--348",
        year="2000",
        doi="10.1023/A:1008981510081",
    ),
    _article(
        "pseudo-likelihood",
        "method",
        "the score of each site given all others, behind check",
        author="Besag, Julian",
        title="Statistical analysis of non-lattice data",
        journal="The Statistician",
        volume="24",
        number="3",
        pages="179--195",
        year="1975",
        doi="10.2307/2987782",
    ),
    _article(
        "substitutions",
        "method",
        "which elements stand for each other in isotypic crystals, in masked-site-isotypes and in what rank "
        "learnt from",
        author="Hautier, Geoffroy and Fischer, Chris and Ehrlacher, Virginie and Jain, Anubhav and Ceder, "
        "Gerbrand",
        title="Data mined ionic substitutions for the discovery of new compounds",
        journal="Inorganic Chemistry",
        volume="50",
        number="2",
        pages="656--663",
        year="2011",
        doi="10.1021/ic102031h",
    ),
    _article(
        "opinion-pools",
        "method",
        "how the network's answer and that of isotypic crystals are joined, in masked-site-isotypes",
        author="Genest, Christian and Zidek, James V.",
        title="Combining probability distributions: a critique and an annotated bibliography",
        journal="Statistical Science",
        volume="1",
        number="1",
        pages="114--135",
        year="1986",
        doi="10.1214/ss/1177013825",
    ),
    Citation(
        "conformal",
        "method",
        "sets of elements and suspicions that hold at a stated rate",
        "book",
        {
            "author": "Vovk, Vladimir and Gammerman, Alexander and Shafer, Glenn",
            "title": "Algorithmic Learning in a Random World",
            "publisher": "Springer",
            "year": "2005",
            "doi": "10.1007/b106715",
        },
    ),
    _article(
        "tolerance-limit",
        "method",
        "verdicts of rank that hold at a stated rate",
        author="Wilks, S. S.",
        title="Determination of sample sizes for setting tolerance limits",
        journal="The Annals of Mathematical Statistics",
        volume="12",
        number="1",
        pages="91--96",
        year="1941",
        doi="10.1214/aoms/1177731788",
    ),
    Citation(
        "noise-contrastive",
        "method",
        "a network that tells real crystals among decoys, behind rank",
        "inproceedings",
        {
            "author": 'Gutmann, Michael and Hyv{\\"a}rinen, Aapo',
            "title": "Noise-contrastive estimation: A new estimation principle for unnormalized "
            "statistical models",
            "booktitle": "Proceedings of the 13th International Conference on Artificial Intelligence and "
            "Statistics",
            "series": "Proceedings of Machine Learning Research",
            "volume": "9",
            "pages": "297--304",
            "year": "2010",
            "url": "https://proceedings.mlr.press/v9/gutmann10a.html",
        },
    ),
    _article(
        "dispersion",
        "method",
        "the attraction between molecules, behind rank",
        author="Grimme, Stefan",
        title="Semiempirical GGA-type density functional constructed with a long-range dispersion correction",
        journal="Journal of Computational Chemistry",
        volume="27",
        number="15",
        pages="1787--1799",
        year="2006",
        doi="10.1002/jcc.20495",
    ),
    Citation(
        "bootstrap",
        "method",
        "resampled groups of crystals, behind the suggested k",
        "book",
        {
            "author": "Efron, Bradley and Tibshirani, Robert J.",
            "title": "An Introduction to the Bootstrap",
            "publisher": "Chapman and Hall",
            "year": "1993",
            "doi": "10.1201/9780429246593",
        },
    ),
    _article(
        "holm",
        "method",
        "correction for several comparisons, behind the suggested k",
        author="Holm, Sture",
        title="A simple sequentially rejective multiple test procedure",
        journal="Scandinavian Journal of Statistics",
        volume="6",
        number="2",
        pages="65--70",
        year="1979",
        url="https://www.jstor.org/stable/4615733",
    ),
    _article(
        "resampled-seeds",
        "method",
        "resampled seeds, one fewer than there are, behind the suggested k",
        author="Rao, J. N. K. and Wu, C. F. J.",
        title="Resampling inference with complex survey data",
        journal="Journal of the American Statistical Association",
        volume="83",
        number="401",
        pages="231--241",
        year="1988",
        doi="10.1080/01621459.1988.10478591",
    ),
    _article(
        "fixed-sequence",
        "method",
        "k tried in a fixed order, each at the full level, behind the suggested k",
        author="Westfall, Peter H. and Krishen, Alok",
        title="Optimally weighted, fixed sequence and gatekeeper multiple testing procedures",
        journal="Journal of Statistical Planning and Inference",
        volume="99",
        number="1",
        pages="25--40",
        year="2001",
        doi="10.1016/S0378-3758(01)00077-5",
    ),
    Citation(
        "one-standard-error",
        "method",
        "the smallest k within one standard error of the best, beside the suggested k",
        "book",
        {
            "author": "Breiman, Leo and Friedman, Jerome H. and Olshen, Richard A. and Stone, Charles J.",
            "title": "Classification and Regression Trees",
            "publisher": "Wadsworth",
            "year": "1984",
            "doi": "10.1201/9781315139470",
        },
    ),
    Citation(
        "net2net",
        "method",
        "a trained network widened without a change in what it answers, behind grow",
        "inproceedings",
        {
            "author": "Chen, Tianqi and Goodfellow, Ian and Shlens, Jonathon",
            "title": "{Net2Net}: Accelerating learning via knowledge transfer",
            "booktitle": "4th International Conference on Learning Representations",
            "year": "2016",
            "eprint": "1511.05641",
            "archiveprefix": "arXiv",
        },
    ),
    _article(
        "core-mof",
        "data",
        "CoRE MOF 2019: experimental metal-organic frameworks",
        author="Chung, Yongchul G. and Haldoupis, Emmanuel and Bucior, Benjamin J. and Haranczyk, Maciej "
        "and Lee, Seulchan and Zhang, Hongda and Vogiatzis, Konstantinos D. and Milisavljevic, Marija and "
        "Ling, Sanliang and Camp, Jeffrey S. and Slater, Ben and Siepmann, J. Ilja and Sholl, David S. and "
        "Snurr, Randall Q.",
        title="Advances, updates, and analytics for the Computation-Ready, Experimental Metal--Organic "
        "Framework database: {CoRE MOF} 2019",
        journal="Journal of Chemical \\& Engineering Data",
        volume="64",
        number="12",
        pages="5985--5998",
        year="2019",
        doi="10.1021/acs.jced.9b00835",
    ),
    _article(
        "qmof",
        "data",
        "QMOF: metal-organic frameworks relaxed by DFT",
        author="Rosen, Andrew S. and Iyer, Shaelyn M. and Ray, Debmalya and Yao, Zhenpeng and "
        "Aspuru-Guzik, Al{\\'a}n and Gagliardi, Laura and Notestein, Justin M. and Snurr, Randall Q.",
        title="Machine learning the quantum-chemical properties of metal--organic frameworks for "
        "accelerated materials discovery",
        journal="Matter",
        volume="4",
        number="5",
        pages="1578--1597",
        year="2021",
        doi="10.1016/j.matt.2021.02.015",
    ),
    _article(
        "materials-project",
        "data",
        "the Materials Project: inorganic crystals relaxed by DFT",
        author="Jain, Anubhav and Ong, Shyue Ping and Hautier, Geoffroy and Chen, Wei and Richards, "
        "William Davidson and Dacek, Stephen and Cholia, Shreyas and Gunter, Dan and Skinner, David and "
        "Ceder, Gerbrand and Persson, Kristin A.",
        title="Commentary: The {Materials Project}: A materials genome approach to accelerating materials "
        "innovation",
        journal="APL Materials",
        volume="1",
        number="1",
        pages="011002",
        year="2013",
        doi="10.1063/1.4812323",
    ),
    _article(
        "amcsd",
        "data",
        "the American Mineralogist Crystal Structure Database: measured minerals, in the training of rank",
        author="Downs, Robert T. and Hall-Wallace, Michelle",
        title="The {American Mineralogist} crystal structure database",
        journal="American Mineralogist",
        volume="88",
        pages="247--250",
        year="2003",
        url="https://rruff.geo.arizona.edu/AMS/amcsd.php",
    ),
    _article(
        "curated-cofs",
        "data",
        "CURATED COFs: covalent organic frameworks",
        author="Ongari, Daniele and Yakutovich, Aliaksandr V. and Talirz, Leopold and Smit, Berend",
        title="Building a consistent and reproducible database for adsorption evaluation in "
        "covalent--organic frameworks",
        journal="ACS Central Science",
        volume="5",
        number="10",
        pages="1663--1675",
        year="2019",
        doi="10.1021/acscentsci.9b00619",
    ),
    _article(
        "cod",
        "data",
        "the Crystallography Open Database",
        author="Gra{\\v{z}}ulis, Saulius and Chateigner, Daniel and Downs, Robert T. and Yokochi, A. F. T. "
        "and Quir{\\'o}s, Miguel and Lutterotti, Luca and Manakova, Elena and Butkus, Justas and Moeck, "
        "Peter and Le Bail, Armel",
        title="{Crystallography Open Database} -- an open-access collection of crystal structures",
        journal="Journal of Applied Crystallography",
        volume="42",
        number="4",
        pages="726--729",
        year="2009",
        doi="10.1107/S0021889809016690",
    ),
    _article(
        "gemmi",
        "software",
        "reading CIF and space-group operations",
        author="Wojdyr, Marcin",
        title="{GEMMI}: A library for structural biology",
        journal="Journal of Open Source Software",
        volume="7",
        number="73",
        pages="4200",
        year="2022",
        doi="10.21105/joss.04200",
    ),
    _article(
        "3dmol",
        "software",
        "the 3D view of the page",
        author="Rego, Nicholas and Koes, David",
        title="{3Dmol.js}: molecular visualization with {WebGL}",
        journal="Bioinformatics",
        volume="31",
        number="8",
        pages="1322--1324",
        year="2015",
        doi="10.1093/bioinformatics/btu829",
    ),
    Citation(
        "moyo",
        "software",
        "the reference that the symmetry search is tested against",
        "software",
        {
            "author": "Shinohara, Kohei",
            "title": "moyo: a fast and robust crystal symmetry finder",
            "url": "https://github.com/spglib/moyo",
        },
    ),
)


def is_known(name: str) -> bool:
    """Whether a name is that of a work or a topic."""
    word = name.strip().lower()
    return any(word in (citation.name, citation.topic) for citation in CITATIONS)


def find_citations(names: Iterable[str] = ()) -> list[Citation]:
    """The works of these names, in the order of :data:`CITATIONS`; all of them where no name is given.

    Args:
        names: names of works, or topics (``software``, ``method``, ``data``), in any case.

    Raises:
        InputError: an unknown name; the message lists those that are known.
    """
    wanted = {name.strip().lower() for name in names}
    unknown = wanted - {c.name for c in CITATIONS} - {c.topic for c in CITATIONS}
    if unknown:
        known = ", ".join(c.name for c in CITATIONS)
        raise InputError(
            f"nothing to cite under {', '.join(sorted(unknown))}; there are {known}, "
            "and the topics software, method, data"
        )
    return [c for c in CITATIONS if not wanted or c.name in wanted or c.topic in wanted]
